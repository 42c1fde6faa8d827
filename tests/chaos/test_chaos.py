"""A short run of the chaos: everything is broken at once, and nothing is lost and nothing done twice."""

from pathlib import Path

from tests.chaos.plan import draw
from tests.chaos.run import run

ORDERS = 50
KILLS = 8


async def test_nothing_is_lost_and_nothing_done_twice_while_everything_breaks(tmp_path: Path) -> None:
    # A seed whose few orders meet every trouble, and whose database is frozen.
    plan = draw(seed=1882, orders=ORDERS, per_second=3, kills=KILLS, payment_deadline=15)
    report = await run(plan, tmp_path, seller_faults=0.3)
    assert report.violations == []
    assert sum(report.statuses.values()) == ORDERS
    assert report.kills >= KILLS
    assert report.faulty_share_until_healed > 0.2
    assert report.parked
    assert report.statuses_shown > report.watched
    assert {"delivered", "canceled", "rejected"} <= set(report.statuses)
