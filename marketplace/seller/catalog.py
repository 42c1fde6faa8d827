"""The catalog of a Seller on VTEX, read as its affiliate. Source: contract A2 to A5."""

from collections.abc import Iterator
from urllib.parse import quote

from marketplace.catalog import Brand, Category, Dimensions, Image, ProductData, SkuData, Specification, Terms
from marketplace.errors import SellerError, seller_error
from marketplace.orders import CartItem
from marketplace.seller import catalog_wire as wire
from marketplace.seller import classify, translate
from marketplace.seller.base import Cart, SellerConfig
from marketplace.seller.exchange import Exchange
from marketplace.seller.simulation import simulate

_SKU = "/api/catalog_system/pvt/sku/stockkeepingunitbyid/{}"
_SKU_IDS = "/api/catalog_system/pvt/sku/stockkeepingunitidsbysaleschannel"
_PRODUCT = "/api/catalog/pvt/product/{}"
_OLDER_PRODUCT = "/api/catalog_system/pvt/products/productget/{}"
_NOT_FOUND = 404


class VtexCatalog:
    """One VTEX account's catalog, on the connections of its `VtexSeller`, which closes them.

    `marketplace.seller.base.SellerCatalog` tells what each call means. Each raises leaves of SellerError alone.
    """

    def __init__(self, config: SellerConfig, exchange: Exchange) -> None:
        self._config = config
        self._exchange = exchange
        self._channel = {"sc": str(config.sales_channel)}

    async def read_sku(self, sku_id: str) -> SkuData:
        """Read a SKU. Source: contract A2."""
        path = _SKU.format(quote(sku_id, safe=""))
        answer = await self._exchange.ask(wire.Sku, "GET", path, call="read-sku", params=self._channel, writes=False)
        _expect(sku_id, answer.id)
        return _sku_data(answer)

    async def read_product(self, product_id: str) -> ProductData:
        """Read a product by the current route, or by the older one where an account lacks it. Source: contract A3."""
        try:
            answer = await self._ask_product(_PRODUCT, product_id)
        except SellerError as error:
            # A route that is not there is a page of the edge.
            if error.failure.http_status != _NOT_FOUND:
                raise
            answer = await self._ask_product(_OLDER_PRODUCT, product_id)
        return ProductData(
            id=answer.id,
            name=answer.name or "",
            is_active=answer.is_active,
            title=answer.title,
            description=answer.description or "",
            keywords=answer.key_words,
            link_id=answer.link_id,
            ref_id=answer.ref_id,
        )

    async def read_terms(self, sku_id: str) -> Terms:
        """Simulate one unit without a destination. Source: contract A5."""
        cart = Cart(items=[CartItem(id=sku_id, quantity=1)])
        return translate.terms(sku_id, await simulate(self._exchange, self._config, cart))

    async def list_sku_ids(self, page: int, page_size: int) -> list[str]:
        """List a page of the sales channel's SKU ids, pages from 1. Source: contract A4."""
        params = {**self._channel, "page": str(page), "pageSize": str(page_size), "onlyAssigned": "true"}
        answer = await self._exchange.ask(wire.SkuIds, "GET", _SKU_IDS, call="list-skus", params=params, writes=False)
        return answer.ids

    async def _ask_product(self, route: str, product_id: str) -> wire.Product:
        path = route.format(quote(product_id, safe=""))
        answer = await self._exchange.ask(wire.Product, "GET", path, call="read-product", writes=False)
        _expect(product_id, answer.id)
        return answer


def _expect(asked: str, answered: str) -> None:
    if asked != answered:
        raise seller_error(classify.nonsense(f"the answer is about {answered}, not {asked}", writes=False))


def _sku_data(answer: wire.Sku) -> SkuData:
    ids = answer.alternate_ids or wire.AlternateIds()
    sellers = {seller.seller_id for seller in answer.sku_sellers or [] if seller is not None}
    data = SkuData(
        id=answer.id,
        product_id=answer.product_id,
        name=answer.sku_name or answer.name_complete or answer.product_name or answer.id,
        product_name=answer.product_name or "",
        description=answer.product_description or "",
        is_active=answer.is_active,
        sales_channels=answer.sales_channels,
        # Without any entry there is nobody else whose goods they could be.
        main_seller=not sellers or translate.OWN_SELLER in sellers,
        brand=_brand(answer),
        categories=_categories(answer),
        images=_images(answer),
        specifications=[*_specifications(answer.sku_specifications), *_specifications(answer.product_specifications)],
        dimensions=Dimensions(**(answer.dimension or wire.Dimension()).model_dump()),
        ean=ids.ean or None,
        ref_id=ids.ref_id or None,
        measurement_unit=answer.measurement_unit or None,
        unit_multiplier=answer.unit_multiplier,
        is_kit=bool(answer.is_kit),
        keywords=answer.key_words or None,
    )
    # Set only when told, for `SkuData.needs_product`.
    told = answer.is_product_active
    return data if told is None else data.model_copy(update={"is_product_active": told})


def _brand(answer: wire.Sku) -> Brand | None:
    if not answer.brand_id and not answer.brand_name:
        return None
    return Brand(id=answer.brand_id or "", name=answer.brand_name or "")


def _categories(answer: wire.Sku) -> list[Category]:
    # The map has the names, in no order that means anything; the path goes from the department down.
    names = answer.product_categories or {}
    path = [part for part in (answer.product_category_ids or "").split("/") if part]
    return [Category(id=part, name=names.get(part) or "") for part in path or names]


def _images(answer: wire.Sku) -> list[Image]:
    found = [
        Image(url=image.image_url, name=image.image_name or None)
        for image in answer.images or []
        if image is not None and image.image_url
    ]
    return found or ([Image(url=answer.image_url)] if answer.image_url else [])


def _specifications(fields: wire.Some[wire.Specification]) -> Iterator[Specification]:
    for field in fields or []:
        if field is not None and field.field_name:
            values = [value for value in field.field_values or [] if value is not None]
            yield Specification(name=field.field_name, values=values)
