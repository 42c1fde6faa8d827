"""The tables of `python -m bench orders`, with the verdict beside each target."""

from statistics import median

from rich.console import Console
from rich.table import Table

from bench.measure import percentile
from bench.orders import Callbacks, Creations, Fairness, Footprint, Latencies, Lives, Open, Turn

LIFE_RATIO = 0.9
CREATE_MS = 25.0
CART_MS = {0.5: 3.0, 0.99: 10.0}
CALLBACK_RATIO = 0.5
EVENTS = 30
BYTES = 12_000
FLAT = 0.1
FAIR = 2.0


def lives(found: list[Lives], out: Console) -> None:
    table = Table("in flight", "lives/s", "bare/s", "ratio of each round", "median", "others' CPU", title="Order lives")
    for one in found:
        engine, floor = ([f"{turn.per_second:.1f}" for turn in turns] for turns in _turns(one))
        ratios = " ".join(f"{each.ratio:.2f}" for each in one.rounds)
        others = max(max(each.engine.others_cpu, each.floor.others_cpu) for each in one.rounds)
        table.add_row(
            str(one.in_flight), " ".join(engine), " ".join(floor), ratios, f"{one.ratio:.2f}", f"{others:.0%}"
        )
    out.print(table)
    best = max(one.ratio for one in found)
    out.print(f"target {LIFE_RATIO}: {_verdict(best >= LIFE_RATIO)}")
    cpu(found[-1], out)


def cpu(found: Lives, out: Console) -> None:
    """CPU of each process for one order, with the most in flight, beside the floor's."""
    table = Table("process", "CPU ms/order", "floor", "peak MiB", title=f"CPU with {found.in_flight} in flight")
    engine, floor = found.rounds[-1].engine.costs, found.rounds[-1].floor.costs
    for name in engine:
        spent = [f"{1000 * cost[name].cpu_seconds / found.orders:.1f}" for cost in (engine, floor)]
        table.add_row(name, *spent, f"{engine[name].peak_mib:.0f}")
    out.print(table)


def creations(found: list[Creations], out: Console) -> None:
    table = Table(
        "in flight", "p50 ms", "floor", "added", "p99 ms", "floor", "added", title="POST /orders until placed"
    )
    for one in found:
        table.add_row(str(one.in_flight), *_latency(one, 0.5), *_latency(one, 0.99))
    out.print(table)
    added = 1000 * found[0].added(0.5)
    out.print(f"target: p50 at most {CREATE_MS:.0f} ms above its floor: {_verdict(added <= CREATE_MS)}")


def carts(found: Latencies, out: Console) -> None:
    table = Table("p50 ms", "Seller", "added", "p99 ms", "Seller", "added", title="Cart simulation")
    table.add_row(*_latency(found, 0.5), *_latency(found, 0.99))
    out.print(table)
    met = all(1000 * found.added(share) <= limit for share, limit in CART_MS.items())
    out.print(f"target: at most 3 ms added at p50, 10 ms at p99: {_verdict(met)}")


def callbacks(found: Callbacks, out: Console) -> None:
    table = Table("callbacks/s", "signals/s", "ratio of each round", "median", title="Callbacks")
    engine, floor = ([f"{turn.per_second:.0f}" for turn in turns] for turns in _turns(found))
    ratios = " ".join(f"{each.ratio:.2f}" for each in found.rounds)
    table.add_row(" ".join(engine), " ".join(floor), ratios, f"{found.ratio:.2f}")
    out.print(table)
    out.print(f"target {CALLBACK_RATIO}: {_verdict(found.ratio >= CALLBACK_RATIO)}")


def fairness(found: Fairness, out: Console) -> None:
    table = Table("", "p50 ms", "p99 ms", title="One Seller's placements beside another's flood")
    for name, values in (("alone", found.alone), (f"beside {found.flood} at a time", found.beside)):
        table.add_row(name, *(f"{1000 * percentile(values, share):.0f}" for share in (0.5, 0.99)))
    out.print(table)
    out.print(f"the flood itself: {found.flood_per_second:.1f} a second")
    out.print(f"p99 is {found.ratio:.1f} times the quiet one; target {FAIR:.0f}: {_verdict(found.ratio <= FAIR)}")


def footprint(found: Footprint, out: Console) -> None:
    out.print(
        f"\nHistory of one order: {found.events} events (target {EVENTS}: {_verdict(found.events <= EVENTS)}),"
        f" {found.bytes} bytes (target {BYTES}: {_verdict(found.bytes <= BYTES)})"
    )


def open_orders(found: list[Open], out: Console) -> None:
    columns = ("open orders", "lives/s", "bare/s", "ratio", "worker MiB", "API MiB", "Temporal MiB")
    table = Table(*columns, title="Lives beside open orders, 8 in flight, medians")
    for one in found:
        lives, bare = (
            median(turn.per_second for turn in turns)
            for turns in ([each.engine for each in one.rounds], [each.floor for each in one.rounds])
        )
        sizes = (f"{size:.0f}" for size in (one.worker_mib, one.api_mib, one.temporal_mib))
        table.add_row(str(one.waiting), f"{lives:.1f}", f"{bare:.1f}", f"{one.ratio:.2f}", *sizes)
    out.print(table)
    first, last = found[0], found[-1]
    as_fast = last.ratio >= (1 - FLAT) * first.ratio
    as_small = last.worker_mib <= (1 + FLAT) * first.worker_mib
    out.print(f"target: the last within 10 % of the first: speed {_verdict(as_fast)}, memory {_verdict(as_small)}")


def _turns(found: Lives | Callbacks) -> tuple[list[Turn], list[Turn]]:
    return [one.engine for one in found.rounds], [one.floor for one in found.rounds]


def _latency(found: Latencies, share: float) -> tuple[str, str, str]:
    values = (percentile(found.engine, share), percentile(found.floor, share), found.added(share))
    return tuple(f"{1000 * value:.1f}" for value in values)  # type: ignore[return-value]


def _verdict(met: bool) -> str:  # noqa: FBT001
    return "met" if met else "missed"
