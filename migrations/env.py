"""Runs migrations on the connection it is handed (``graphql-api migrate``, tests), or on ``alembic -x url=…``."""

from alembic import context
from sqlalchemy import Connection, create_engine

from graphql_api.db.tables import Base


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",  # SQLite alters a table by copying it
        transactional_ddl=True,
        transaction_per_migration=False,
    )
    context.run_migrations()


handed = context.config.attributes.get("connection")
if handed is not None:
    run(handed)
else:
    url = context.get_x_argument(as_dictionary=True).get("url")
    if url is None:
        raise SystemExit("say which database: alembic -x url=sqlite:///dev.db …")
    with create_engine(url).begin() as connection:
        run(connection)
