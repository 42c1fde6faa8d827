"""One SKU, read at its Seller: which questions are asked, and what an error means for the offer."""

from datetime import UTC, datetime

from activities.away import away_for
from marketplace import readings
from marketplace.assortment import InclusionPolicy, policy_of
from marketplace.catalog import ChangeNotice, Offer, Problem, ProblemCode, blocks_of, with_product
from marketplace.errors import Cause, SellerError, SellerRefused, Verdict
from marketplace.readings import Failure, Reading
from marketplace.seller.base import SellerCatalog, SellerConfig
from marketplace.seller.client import SellerPool

_CODES = {
    Verdict.CREDENTIALS: ProblemCode.SELLER_CREDENTIALS,
    Verdict.MISCONFIGURED: ProblemCode.SELLER_CREDENTIALS,
    Verdict.REFUSED: ProblemCode.SELLER_REFUSED,
}


class Shop:
    """A Seller's catalog as this marketplace sees it: through its sales channel and by its inclusion policy."""

    def __init__(self, seller: str, catalog: SellerCatalog, sales_channel: int, policy: InclusionPolicy) -> None:
        self.seller = seller
        self.catalog = catalog
        self._policy = policy
        self._sales_channel = sales_channel

    async def read(self, sku_id: str, known: Offer | None, notice: ChangeNotice) -> Reading:
        """Ask what the notice makes necessary: the data when it may have changed or is not known, then the terms.

        Raises leaves of SellerError; that a SKU is not there is a reading, not an error. Source: contract A2 to A5.
        """
        reading = Reading(seller=self.seller, id=sku_id, began_at=datetime.now(UTC))
        if _needs_data(known, notice):
            try:
                data = await self.catalog.read_sku(sku_id)
            except SellerRefused as error:
                if error.failure.cause is not Cause.NOT_FOUND:
                    raise
                text = "the Seller does not know the SKU: it was deleted, or the notice was wrong"
                return reading.model_copy(update={"blocks": [Problem(code=ProblemCode.SKU_UNKNOWN, message=text)]})
            if data.needs_product or notice.data_changed or notice.is_active is False:
                data = with_product(data, await self.catalog.read_product(data.product_id))
            blocks = blocks_of(data, self._sales_channel, notice)
            reading = reading.model_copy(update={"data": data, "blocks": blocks})
        if reading.blocks:
            return reading  # its stock is 0 whatever the simulation would say
        return reading.model_copy(update={"terms": await self.catalog.read_terms(sku_id)})

    async def away_for(self) -> float | None:
        """Seconds to wait when the Seller answers nothing else either, None when it does."""
        return await away_for(self.catalog)

    def after(self, known: Offer | None, outcome: Reading | Failure) -> Offer:
        """The offer after a reading or failed tries."""
        if isinstance(outcome, Failure):
            return readings.fail(known, outcome)
        return readings.read(known, outcome, self._policy)


def _needs_data(known: Offer | None, notice: ChangeNotice) -> bool:
    """What is blocked or was given up is read in full: the notice may be about the very cause."""
    return known is None or known.data is None or known.failed or bool(known.blocks) or not notice.terms_only


def problem_of(error: SellerError) -> Problem:
    """An offer's last error, out of a Seller's."""
    code = _CODES.get(error.failure.verdict, ProblemCode.SELLER_UNAVAILABLE)
    if error.failure.cause is Cause.NONSENSE:
        code = ProblemCode.SELLER_NONSENSE
    return Problem(code=code, message=str(error.failure) or "no answer")


def build_shop(config: SellerConfig, pool: SellerPool) -> Shop:
    """The shop of a Seller's settings. Raises RulesInvalid for a rule file that cannot be used."""
    policy = policy_of(config.assortment, config.assortment_rules)
    return Shop(config.account, pool.catalog(config.account), config.sales_channel, policy)
