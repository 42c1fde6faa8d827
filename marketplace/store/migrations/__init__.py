"""The database's migrations, run by Alembic; `marketplace.store.sql.migrate` applies them."""
