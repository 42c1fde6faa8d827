"""The switches about the catalog, its notices, and how much the Seller's account bears."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from sandbox.base import DateForm, Model

Seconds = Annotated[float, Field(ge=0, le=86_400 * 30, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100)]
NoticeForm = Literal["pascal", "camel", "five", "full"]
NoticePath = Literal["/api/notification/", "/api/notification", "/", ""]
NoticeId = Literal["string", "integer"]
Endpoint = Annotated[str, StringConstraints(pattern=r"^https?://[^/\s]+\S*$")]


class CatalogSettings(Model):
    """Sources: contract sections A, F and G1 rows 21 and 24."""

    # SKU, product and id reads
    is_product_active: Literal["given", "absent"] = "given"
    """Whether a SKU read tells `IsProductActive`; without it the product must be read."""
    specification_value_ids: Literal["given", "empty"] = "given"
    """`FieldValueIds` may be empty while `FieldValues` are not."""
    catalog_dates: DateForm = "fraction"
    """Form of `ReleaseDate` and `DateModified`: seven digits and Z, whole seconds and Z, an offset, no zone, no T."""
    unknown_fields: bool = False
    """Add fields that no reference declares to SKUs, products and notices."""
    catalog_not_found: Literal["error", "text", "html"] = "error"
    """Body of the 404 for an unknown SKU or product, which VTEX does not document: error, JSON string, page."""
    sku_ids_page_size: Annotated[int, Field(ge=1)] = 100
    """Ids on a page when the call names no `pageSize`."""
    sku_ids_max_page_size: Annotated[int, Field(ge=1)] = 1000
    """A larger `pageSize` is answered as this one."""
    sku_ids_only_assigned: bool = True
    """What counts when the call does not say `onlyAssigned`."""
    unsellable: Literal["missing", "silent", "unavailable", "no-logistics"] = "missing"
    """What a simulation does with a SKU that exists but is inactive or not in the sales channel: leave it out with a
    message, without one, answer it as `unavailableItemFulfillment`, or without an entry in `logisticsInfo`."""

    # Notices
    notification_endpoint: Endpoint | None = None
    """The affiliate endpoint that the marketplace prints. Without it no notice is sent."""
    notice_path: NoticePath = "/api/notification/"
    """What the Seller typed behind it in its admin."""
    notice_form: NoticeForm = "pascal"
    """`pascal` and `camel` with ten fields, `five` with the five of the short form, `full` with `Version` too."""
    notice_sku_id: NoticeId = "string"
    notice_product_id: Literal["integer", "string", "absent"] = "integer"
    notice_date: Literal["given", "absent"] = "given"
    notice_concurrency: Annotated[int, Field(ge=1, le=500)] = 20
    """Notices under way at once."""
    notice_attempts: Annotated[int, Field(ge=1, le=1000)] = 1
    """Tries of a notice. VTEX documents no retries."""
    notice_backoff_seconds: Seconds = 0.5
    """Pause after the first failed try; it doubles up to `callback_backoff_max_seconds`."""
    notice_reservations: bool = False
    """Notify when an order reserves, returns or takes stock."""

    # Living catalog
    living_catalog: bool = False
    """Change random SKUs all the time, and notify."""
    living_rate: Annotated[float, Field(gt=0, le=10_000)] = 1.0
    """Changes a second."""
    living_except: list[str] = []
    """Ids of SKUs that it leaves as they are."""
    living_data_percent: Percent = 5.0
    """Share of the changes that are about names, images and specifications."""
    living_active_percent: Percent = 1.0
    """Share of the changes that switch a SKU off; it is on again when it is next met."""

    # What the account bears
    rate_limit: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    """Requests a second that are served, with one second's worth in store; the others get 429."""
    rate_limit_scope: Literal["account", "group"] = "account"
    """One limit for all, or one for each of catalog, simulation and orders."""
    rate_limit_retry_after: Literal["absent", "seconds", "date"] = "absent"
    down: Literal["no", "reset", "unavailable", "forbidden"] = "no"
    """Serve nobody: reset every connection, or answer every request with 503, or with 403."""
