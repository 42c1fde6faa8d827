"""Callbacks and notices with tokens that are not theirs, sent to an API, and what its answers tell to who guesses."""

import asyncio
import json
import random
import re
import statistics
import string
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, cycle, islice
from typing import Any

from pydantic import SecretStr

from marketplace.security import AffiliateTokens, CallbackTokens
from tests.api.callback_line import DELIVERY, INVOICE, TRACKING

URL_SAFE = string.ascii_letters + string.digits + "-_"
CALLS: list[tuple[str, str, Any]] = [
    ("POST", "/invoice", INVOICE),
    ("POST", "/invoice/NF-1", TRACKING),
    ("PUT", "/invoice/NF-1/tracking", DELIVERY),
    ("POST", "/cancel", {"reason": "no stock"}),
]
NOTICE = {"IdSku": "2001", "An": "acme", "IdAffiliate": "MKP", "PriceModified": True}
_LENGTH = re.compile(rb"content-length: (\d+)\r\n", re.IGNORECASE)
_EACH_ITS_OWN = re.compile(rb"(?:date|x-request-id): [^\r]*\r\n", re.IGNORECASE)


@dataclass(frozen=True)
class Mint:
    """What the engine has, and who forges has not."""

    callbacks: CallbackTokens
    affiliates: AffiliateTokens
    foreign: CallbackTokens

    @classmethod
    def of(cls, keys: Sequence[SecretStr]) -> "Mint":
        return cls(CallbackTokens(keys), AffiliateTokens(keys), CallbackTokens([SecretStr("another engine's key")]))


def _random(text: str, choose: random.Random) -> str:
    return "".join(choose.choices(URL_SAFE, k=len(text)))


def _flipped(text: str, choose: random.Random) -> str:
    at = choose.randrange(len(text))
    return text[:at] + choose.choice(URL_SAFE.replace(text[at], "")) + text[at + 1 :]


def _same_bytes(text: str, _: random.Random) -> str:
    # The last character has two bits that base64 ignores, in the alphabet's own order.
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) ^ 1]


MANGLED: dict[str, Callable[[str, random.Random], str]] = {
    "random": _random,
    "one character changed": _flipped,
    "another spelling of its bytes": _same_bytes,
    "truncated": lambda text, choose: text[: choose.randrange(1, len(text))],
    "prolonged": lambda text, choose: text + choose.choice(URL_SAFE),
    "twice": lambda text, _: text * 2,
    "padded": lambda text, _: f"{text}=",
    "other case": lambda text, _: text.swapcase(),
    "empty": lambda _text, _: "",
    "a blank behind": lambda text, _: f"{text}%20",
    "a line feed behind": lambda text, _: f"{text}%0A",
    "NUL behind": lambda text, _: f"{text}%00",
    "NUL": lambda _text, _: "%00" * 43,
    "unicode": lambda text, _: "%C3%A9" + text[1:],
    "wide letters": lambda text, _: "%EF%BC%A1" + text[1:],
    "no UTF-8": lambda text, _: "%FF%FE" + text[2:],
    "very long": lambda _text, choose: choose.choice(URL_SAFE) * 20_000,
    "nested": lambda text, _: f"..%2F{text}",
}


@dataclass(frozen=True)
class Forged:
    """A request whose twin differs in one thing: whether what it is about is there."""

    kind: str
    known: bool
    method: str
    path: str
    body: bytes

    def request(self) -> bytes:
        head = f"{self.method} {self.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(self.body)}\r\n\r\n".encode() + self.body


def _callback(mint: Mint, order: str, other: str, choose: random.Random) -> Iterator[tuple[str, str]]:
    """Every way to get the base URL of this order's callbacks wrong."""
    token = mint.callbacks.mint("acme", order)
    for kind, mangle in MANGLED.items():
        yield kind, f"/callbacks/acme/{order}/{mangle(token, choose)}"
    tokens = {
        "of another order": mint.callbacks.mint("acme", other),
        "of another Seller": mint.callbacks.mint("other", order),
        "of an affiliate": mint.affiliates.mint("acme"),
        "of another engine": mint.foreign.mint("acme", order),
    }
    for kind, text in tokens.items():
        yield kind, f"/callbacks/acme/{order}/{text}"
    yield "path in other case", f"/Callbacks/acme/{order}/{token}"
    yield "Seller in other case", f"/callbacks/ACME/{order}/{token}"
    yield "order in other case", f"/callbacks/acme/{order.swapcase()}/{token}"
    yield "unknown Seller", f"/callbacks/nobody/{order}/{mint.callbacks.mint('acme', order)}"
    yield "in the query", f"/callbacks/acme/{order}/x?token={token}"


def forged(mint: Mint, known: list[str], unknown: list[str], seed: int = 1) -> Iterator[Forged]:
    """Without end: callbacks about known and about unknown orders by turns, and now and then a notice."""
    choose = random.Random(seed)
    for number, (method, tail, body) in enumerate(cycle(CALLS)):
        orders = known[number % len(known)], unknown[number % len(unknown)]
        bases = [_callback(mint, order, known[(number + 1) % len(known)], choose) for order in orders]
        content = json.dumps(body).encode()
        for (kind, here), (_, there) in zip(*bases, strict=True):
            # Which of the two comes first must make no difference for the times.
            pair = [(True, orders[0], here), (False, orders[1], there)]
            for is_known, order, base in pair if choose.random() < 0.5 else reversed(pair):
                path, mark, query = base.partition("?")
                yield Forged(kind, is_known, method, f"{path}/pvt/orders/{order}{tail}{mark}{query}", content)
        notice = json.dumps(NOTICE).encode()
        for kind, mangle in MANGLED.items():
            pair = [(name == "acme", name, mint.affiliates.mint(name)) for name in ("acme", "nobody")]
            for is_known, name, token in pair:
                path = f"/affiliates/{name}/{mangle(token, choose)}/api/notification"
                yield Forged(f"notice, {kind}", is_known, "POST", path, notice)


@dataclass
class Verdict:
    """What was answered."""

    statuses: Counter[int] = field(default_factory=Counter)
    accepted: list[Forged] = field(default_factory=list)
    answers: dict[str, dict[bool, set[bytes]]] = field(
        default_factory=lambda: defaultdict(lambda: {True: set(), False: set()})
    )
    seconds: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})

    def take(self, sent: Forged, answer: bytes, seconds: float) -> None:
        status = int(answer.split(maxsplit=2)[1])
        self.statuses[status] += 1
        if status < 400:
            self.accepted.append(sent)
        self.answers[sent.kind][sent.known].add(_EACH_ITS_OWN.sub(b"", answer))
        if not sent.kind.startswith("notice"):
            self.seconds[sent.known].append(seconds)

    @property
    def telling(self) -> list[str]:
        """The kinds whose answers differ between what is there and what is not, in any byte.

        But for the date, and the number that each request is given.
        """
        return [kind for kind, found in self.answers.items() if found[True] != found[False]]

    @property
    def distinct(self) -> set[bytes]:
        """All that was ever answered."""
        return set(chain.from_iterable(found[known] for found in self.answers.values() for known in found))

    @property
    def medians(self) -> dict[bool, float]:
        """In seconds, for known orders (True) and for others."""
        return {known: statistics.median(found) for known, found in self.seconds.items()}

    @property
    def apart(self) -> float:
        """How much longer the slower of both medians is than the other: 0.01 is a hundredth."""
        least, most = sorted(self.medians.values())
        return most / least - 1

    def figures(self) -> dict[str, str]:
        medians = {known: seconds * 1000 for known, seconds in self.medians.items()}
        spread = statistics.quantiles(self.seconds[False], n=4)
        return {
            "forged": f"{self.statuses.total():,}, of {len(self.answers)} kinds",
            "accepted": str(len(self.accepted)),
            "statuses": ", ".join(f"{count:,} times {status}" for status, count in sorted(self.statuses.items())),
            "kinds that tell known from unknown": ", ".join(self.telling) or "none",
            "median for known orders": f"{medians[True]:.3f} ms",
            "median for unknown orders": f"{medians[False]:.3f} ms",
            "middle half for unknown orders": f"{spread[0] * 1000:.3f} to {spread[2] * 1000:.3f} ms",
        }


async def send(port: int, requests: Iterator[Forged], count: int, connections: int) -> Verdict:
    """Send so many over some connections, one at a time on each."""
    verdict = Verdict()
    left = islice(requests, count)

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        try:
            for request in left:
                begun = time.perf_counter()
                writer.write(request.request())
                head = await reader.readuntil(b"\r\n\r\n")
                found = _LENGTH.search(head)
                assert found is not None, head
                answer = head + await reader.readexactly(int(found[1]))
                verdict.take(request, answer, time.perf_counter() - begun)
        finally:
            writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return verdict
