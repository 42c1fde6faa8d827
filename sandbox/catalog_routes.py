"""What the marketplace asks of the catalog: a SKU, a product, the SKU ids of a sales channel.

Sources: contract sections A2, A3 and A4. Keys are checked by the caller. VTEX documents no error bodies for these
routes: a 404 has the form that the setting `catalogNotFound` asks for, bad parameters get an error with code `1`.
"""

from collections.abc import Mapping

from sandbox.answers import Answer, html_answer, json_answer
from sandbox.catalog import Catalog
from sandbox.catalog_answers import product_document, sku_document
from sandbox.config import Settings
from sandbox.protocol import ProtocolError
from sandbox.reads import ReadBook

_HIGHEST_ID = 2**31 - 1
_BOOLEANS = {"true": True, "false": False}


class CatalogRoutes:
    """The three questions. Each raises ProtocolError."""

    def __init__(self, catalog: Catalog, reads: ReadBook, account: str) -> None:
        self._catalog = catalog
        self._reads = reads
        self._account = account

    def sku(self, sku_id: str, query: Mapping[str, str], settings: Settings) -> Answer:
        """One SKU, whatever sales channels it is in; `sc` only has to be a number."""
        if "sc" in query:
            _number(query["sc"], "sc")
        sku = self._catalog.get(str(_number(sku_id, "skuId")))
        if sku is None:
            return _not_found("SKU not found", settings)
        document = sku_document(sku, self._catalog.channels_of(sku), self._account, settings)
        return json_answer(document, tells=(self._reads.reading("sku", sku),))

    def product(self, product_id: str, settings: Settings, *, older: bool) -> Answer:
        """One product. The older route tells its sales channels too."""
        skus = self._catalog.of_product(_number(product_id, "productId"))
        if not skus:
            return _not_found("Product not found", settings)
        channels = sorted({channel for sku in skus for channel in self._catalog.channels_of(sku)})
        return json_answer(product_document(skus[0], channels if older else None, settings))

    def sku_ids(self, query: Mapping[str, str], settings: Settings) -> Answer:
        """A page of ids as a bare array; beyond the last page it is empty."""
        if "sc" not in query:
            raise ProtocolError("1", "The request is invalid: sc is missing")
        channel = _number(query["sc"], "sc")
        page = _number(query.get("page", "1"), "page", lowest=1)
        size = _number(query.get("pageSize", str(settings.sku_ids_page_size)), "pageSize", lowest=1)
        assigned = settings.sku_ids_only_assigned
        if "onlyAssigned" in query:
            given = _BOOLEANS.get(query["onlyAssigned"].lower())
            if given is None:
                raise ProtocolError("1", "The request is invalid: onlyAssigned is no boolean")
            assigned = given
        size = min(size, settings.sku_ids_max_page_size)
        return json_answer(self._catalog.listed(channel if assigned else None)[(page - 1) * size : page * size])


def is_number(text: str) -> bool:
    """Whether VTEX takes this for a number: signs, spaces and underscores are fine for Python's int alone."""
    return text.isascii() and text.isdecimal() and len(text) <= len(str(_HIGHEST_ID))


def _number(text: str, name: str, *, lowest: int = 0) -> int:
    if not (is_number(text) and lowest <= int(text) <= _HIGHEST_ID):
        raise ProtocolError("1", f"The request is invalid: {name} is no number, or out of bounds")
    return int(text)


def _not_found(message: str, settings: Settings) -> Answer:
    if settings.catalog_not_found == "html":
        return html_answer(404, "404 Not Found")
    if settings.catalog_not_found == "text":
        return json_answer(message, 404)
    raise ProtocolError("1", message, 404)
