"""What a database's failure means to its callers."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from marketplace.store.base import StoreUnavailable


@contextmanager
def available() -> Iterator[None]:
    """Turn what may pass by itself (no connection, locked, shut down, a replica) into StoreUnavailable."""
    try:
        yield
    except (OperationalError, InterfaceError, InternalError, PoolTimeoutError, OSError) as error:
        raise StoreUnavailable(f"the database is not available: {one_line(error)}") from error


def one_line(error: Exception) -> str:
    """The database's own words without SQLAlchemy's statement and links around them."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return " ".join(str(cause).split())
