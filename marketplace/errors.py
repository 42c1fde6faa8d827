"""What can go wrong with a Seller, as a tree with a leaf for each decision the caller must take.

    EngineError
    +-- UnknownSeller               no Seller of that account is configured
    +-- SellerError                 the Seller's answer was not the one hoped for
        +-- SellerUnavailable       nothing happened there: try again
        |   +-- SellerRateLimited   the same, not before `retry_after` seconds
        +-- SellerUnknownOutcome    it may have happened there: ask again with the same id, never assume
        +-- SellerRefused           it did not and will not happen like this: a result, not a fault
        +-- SellerAlreadyDone       an earlier try of this very call has worked: success
        +-- SellerCredentials       keys or permissions: an operator must act
        +-- SellerMisconfigured     affiliate or sales channel not known there: an operator must act

Errors carry data (`failure`), not only text, so that they survive the way from an activity to its workflow.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Verdict(StrEnum):
    """What a caller should do about a Seller's answer; one word for each leaf of the tree above."""

    RETRY = "retry"
    RATE_LIMITED = "rate-limited"
    UNKNOWN_OUTCOME = "unknown-outcome"
    REFUSED = "refused"
    ALREADY_DONE = "already-done"
    CREDENTIALS = "credentials"
    MISCONFIGURED = "misconfigured"

    @property
    def may_pass(self) -> bool:
        """Whether the same call may succeed later without anybody doing anything."""
        return self in {Verdict.RETRY, Verdict.RATE_LIMITED, Verdict.UNKNOWN_OUTCOME}

    @property
    def needs_people(self) -> bool:
        """Whether no call at all will succeed before somebody has mended keys or settings."""
        return self in {Verdict.CREDENTIALS, Verdict.MISCONFIGURED}


class Cause(StrEnum):
    """Why a Seller's answer was not the one hoped for, in the words of the order's `reason.code` where it refused."""

    PRICE_DIVERGENCE = "price-divergence"
    OUT_OF_STOCK = "out-of-stock"
    SLA_UNAVAILABLE = "sla-unavailable"
    ALREADY_CANCELED = "canceled-by-seller"
    NOT_FOUND = "seller-order-unknown"
    MISMATCH = "seller-order-mismatch"
    """Another order than ours lies at the Seller under our id."""
    NONSENSE = "seller-nonsense"
    """Not refused at all: it answered with success, and with what cannot be understood."""
    OTHER = "seller-refused"


class SellerFailure(BaseModel):
    """The facts of a failed Seller call. Holds no personal data and no credentials."""

    model_config = ConfigDict(frozen=True)

    verdict: Verdict
    cause: Cause = Cause.OTHER
    code: str | None = None
    """VTEX's error code, such as FMT007, when the answer had one."""
    message: str = ""
    """The Seller's own words, cut to a readable length."""
    http_status: int | None = None
    retry_after: float | None = None
    """Seconds the Seller asked to wait."""
    paused: bool = False
    """Nothing was sent: the engine holds back, so this is no attempt. `retry_after` is set."""
    wait_out: bool = False
    """It tells nothing about this call: the Seller is away, or has left it to one of its people. It uses up no try."""
    operation_id: str | None = None
    """VTEX's id of the failed operation, for its support."""

    def __str__(self) -> str:
        status = f"HTTP {self.http_status}" if self.http_status else ""
        return " ".join(part for part in (self.code, self.message, f"({status})" if status else "") if part)


class EngineError(Exception):
    """Base of every error of this library."""


class UnknownSeller(EngineError):  # noqa: N818 - the tree reads better in plain words
    """No Seller with this account name is in the sellers file."""

    def __init__(self, account: str) -> None:
        super().__init__(f"no Seller {account!r} is configured")
        self.account = account


class SellerError(EngineError):
    """A Seller call did not give the answer hoped for; see `failure` and the subclass for what to do."""

    def __init__(self, failure: SellerFailure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class SellerUnavailable(SellerError):  # noqa: N818
    """Nothing happened at the Seller: not reached, or it said that it cannot now. Try again."""


class SellerRateLimited(SellerUnavailable):
    """HTTP 429. Try again, not before `failure.retry_after` seconds when given."""


class SellerUnknownOutcome(SellerError):  # noqa: N818
    """The request left, the answer did not come or made no sense. It may have worked: repeat with the same id."""


class SellerRefused(SellerError):  # noqa: N818
    """The Seller understood and said no. Repeating the same call is useless."""


class SellerAlreadyDone(SellerError):  # noqa: N818
    """The Seller did this on an earlier try (FMT009, FMT0064). Read the result instead of repeating."""


class SellerCredentials(SellerError):  # noqa: N818
    """App key, token or their permissions are wrong. Nothing to retry until somebody mends them."""


class SellerMisconfigured(SellerError):  # noqa: N818
    """The Seller does not know our affiliate or sales channel (FMT0021, FMT0088)."""


_LEAVES: dict[Verdict, type[SellerError]] = {
    Verdict.RETRY: SellerUnavailable,
    Verdict.RATE_LIMITED: SellerRateLimited,
    Verdict.UNKNOWN_OUTCOME: SellerUnknownOutcome,
    Verdict.REFUSED: SellerRefused,
    Verdict.ALREADY_DONE: SellerAlreadyDone,
    Verdict.CREDENTIALS: SellerCredentials,
    Verdict.MISCONFIGURED: SellerMisconfigured,
}


def seller_error(failure: SellerFailure) -> SellerError:
    """Build the error class that belongs to a failure's verdict."""
    return _LEAVES[failure.verdict](failure)
