"""What a failure, a cancellation or a removed method does to an auto-reload, cases worked out by hand (rule 3)."""

from tests.oracle.build import CENT_20, DAY, HOUR, MIN
from tests.unit.test_auto_reload import FULL, USD, Reloading, failing


def test_a_failure_waits_an_hour_of_event_time() -> None:
    """Then the next attempt is an order of its own, and its payment another one."""
    wallet = Reloading()
    wallet.set()
    wallet.spend(60 * USD)
    wallet.fail(at=5 * MIN)
    wallet.spend(CENT_20, at=30 * MIN)
    wallet.passes(HOUR + 5 * MIN - 1)
    assert wallet.asked == [(1, 0)]
    wallet.passes(HOUR + 5 * MIN)
    assert wallet.asked == [(1, 0), (2, HOUR + 5 * MIN)]
    assert wallet.requests[0].order_id != wallet.requests[1].order_id
    assert wallet.requests[0].idempotency_key != wallet.requests[1].idempotency_key


def test_three_failures_in_a_row_switch_it_off() -> None:
    """The owner switches it on again, and it begins with a first attempt at once."""
    wallet = Reloading()
    wallet.set()
    wallet.spend(60 * USD)
    for _ in failing(3, wallet):
        pass
    assert [attempt for attempt, _ in wallet.asked] == [1, 2, 3]
    assert not wallet.wallets.books["w"].wallet.purchases.scopes[""].enabled
    wallet.passes(9 * DAY)
    assert len(wallet.requests) == 3
    wallet.set(at=9 * DAY)
    assert wallet.asked[3:] == [(1, 9 * DAY)]


def test_a_reload_that_settles_ends_the_row() -> None:
    """Also one that settles late: its money is there. After it three more failures are needed."""
    wallet = Reloading()
    wallet.set(threshold_micros=9 * FULL)
    for _ in failing(2, wallet):
        pass
    wallet.settle(0, at=DAY)
    assert [attempt for attempt, _ in wallet.asked] == [1, 2, 3]
    wallet.fail(at=DAY)
    wallet.passes(2 * DAY)
    assert [attempt for attempt, _ in wallet.asked] == [1, 2, 3, 2]


def test_a_cancelled_reload_waits_and_does_not_count_as_failed() -> None:
    """Otherwise it would be ordered again at once."""
    wallet = Reloading()
    wallet.set()
    wallet.spend(60 * USD)
    wallet.do("order.cancelled", order_id=wallet.requests[0].order_id)
    assert len(wallet.requests) == 1
    wallet.passes(HOUR)
    assert wallet.asked == [(1, 0), (1, HOUR)]


def test_a_method_that_is_removed_switches_it_off() -> None:
    """It would have nothing to pay with."""
    wallet = Reloading()
    wallet.set()
    assert wallet.do("method.removed", method_id="m") == ""
    wallet.spend(60 * USD)
    assert wallet.requests == []
