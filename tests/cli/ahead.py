"""``graphql-api`` at another time: ``python ahead.py HOURS ARGUMENTS…`` runs it as if it were so many hours later."""

import sys
from datetime import timedelta

from graphql_api.cli import main
from graphql_api.services.clock import utc_now

if __name__ == "__main__":
    by = timedelta(hours=int(sys.argv[1]))
    main(sys.argv[2:], obj=lambda: utc_now() + by)
