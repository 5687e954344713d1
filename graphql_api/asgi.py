"""For ASGI servers: ``uvicorn graphql_api.asgi:app``. Reads the environment when imported."""

import os

from graphql_api.running import application
from graphql_api.settings import Settings
from graphql_api.web.logs import configure_logging

_settings = Settings.read(os.environ)
configure_logging(_settings.log_level, _settings.log_format)
app = application(_settings)
