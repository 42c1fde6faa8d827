"""Alembic's entry. It works on the connection given by `marketplace.store.migrate.migrate`, inside its transaction."""

from alembic import context

from marketplace.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
