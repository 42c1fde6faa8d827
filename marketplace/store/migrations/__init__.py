"""The database's migrations, run by Alembic; `marketplace.store.migrate.migrate` applies them."""
