"""``python -m graphql_api`` is ``graphql-api``."""

from graphql_api.cli import main

main()
