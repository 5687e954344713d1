"""One method = one use case: it checks, decides, owns its transaction, and says in its docstring how it can fail."""

from dataclasses import dataclass

from graphql_api.services.accounts import Accounts
from graphql_api.services.delivery import Delivery
from graphql_api.services.files import Files
from graphql_api.services.folders import Folders
from graphql_api.services.health import Health
from graphql_api.services.upkeep import Upkeep
from graphql_api.services.uploads import Uploads


@dataclass(frozen=True, slots=True)
class Services:
    """All use cases, as the faces receive them."""

    accounts: Accounts
    delivery: Delivery
    files: Files
    folders: Folders
    health: Health
    uploads: Uploads
    upkeep: Upkeep
