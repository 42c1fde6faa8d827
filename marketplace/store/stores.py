"""Opening the stores: all of them share one database and its connections."""

from pathlib import Path

from sqlalchemy import make_url

from marketplace.settings import Settings
from marketplace.store.base import SchemaMissing
from marketplace.store.database import Database
from marketplace.store.failures import available
from marketplace.store.journal import SqlJournal
from marketplace.store.migrate import migrate
from marketplace.store.offers import SqlOfferStore
from marketplace.store.orders import SqlOrderStore
from marketplace.store.webhooks import SqlWebhookStore


class Stores:
    """Everything that is kept, each kind by its own store. Whoever opens them closes them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.orders = SqlOrderStore(database)
        self.offers = SqlOfferStore(database)
        self.journal = SqlJournal(database)
        self.webhooks = SqlWebhookStore(database)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._database.aclose()


async def open_stores(settings: Settings) -> Stores:
    """Migrate the database of the settings and open it. Raises StoreUnavailable and SchemaUnknown."""
    database_url = settings.database_url.get_secret_value()
    await migrate(database_url)
    return Stores(Database(database_url))


async def open_migrated_stores(settings: Settings) -> Stores:
    """Open the database of the settings as it is, for those who are not to migrate it.

    Raises StoreUnavailable, SchemaMissing and SchemaUnknown.
    """
    database_url = settings.database_url.get_secret_value()
    _check_exists(database_url)
    database = Database(database_url)
    try:
        await database.check_schema()
    except BaseException:
        await database.aclose()
        raise
    return Stores(database)


def _check_exists(database_url: str) -> None:
    """SQLite would make an empty file of a path that is wrong."""
    url = make_url(database_url)
    with available():
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
            problem = f"the database {url.database} does not exist: start the worker or the API, they make it"
            raise SchemaMissing(problem)
