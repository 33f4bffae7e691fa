"""The maxima of an auto-reload: the sums of a day and of a month, UTC, of event time."""

from schemas.payments import PaymentRequest
from tests.oracle.build import DAY, HOUR
from tests.unit.test_auto_reload import FULL, NOON, Reloading


def drained(wallet: Reloading, at: int) -> list[PaymentRequest]:
    """All that is asked for until nothing is, each settled at once."""
    known = len(wallet.requests)
    done = max(0, known - 1)
    while done < len(wallet.requests):
        wallet.settle(done, at=at)
        done += 1
    return wallet.requests[known:]


def test_a_day_has_a_maximum_that_ends_at_midnight() -> None:
    """UTC, of event time: what is due beyond it is ordered when the next day begins."""
    wallet = Reloading()
    wallet.set(threshold_micros=9 * FULL, max_per_day_micros=2 * FULL + 1, at=NOON)
    drained(wallet, NOON)
    assert len(wallet.requests) == 2
    wallet.passes(15 * HOUR - 1)
    assert len(wallet.requests) == 2
    wallet.passes(15 * HOUR)
    assert wallet.asked[2:] == [(1, 15 * HOUR)]
    drained(wallet, 15 * HOUR)
    assert len(wallet.requests) == 4


def test_a_month_has_a_maximum_that_ends_with_it() -> None:
    """The first of the next month begins a new sum."""
    wallet = Reloading()
    wallet.set(threshold_micros=9 * FULL, max_per_month_micros=2 * FULL)
    drained(wallet, 0)
    for day in range(1, 40):
        wallet.passes(day * DAY)
        drained(wallet, day * DAY)
    assert [at // DAY for _, at in wallet.asked] == [0, 0, 10, 10]


def test_what_has_failed_is_in_no_sum() -> None:
    """No money was taken. What settles late counts again."""
    wallet = Reloading()
    wallet.set(threshold_micros=9 * FULL, max_per_day_micros=FULL)
    wallet.fail()
    wallet.passes(HOUR)
    assert [attempt for attempt, _ in wallet.asked] == [1, 2]
    wallet.fail(at=HOUR)
    wallet.settle(0, at=HOUR)
    wallet.passes(3 * HOUR)
    assert len(wallet.requests) == 2
    wallet.passes(15 * HOUR)
    assert len(wallet.requests) == 3
