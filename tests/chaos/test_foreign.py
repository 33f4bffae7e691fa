"""Which lines of a round a client with other keys may write."""

import pytest

from tests.chaos.feeding import slices_of
from tests.chaos.plan import plan_of
from tests.feeds.lines import is_command, time_of


@pytest.mark.parametrize("seed", [3, 4, 7, 12, 77])
def test_no_foreign_event_moves_the_clock(seed: int) -> None:
    """A line may be late by a millisecond by the feed's time, which its partition knows from our feeder's ticks."""
    newest_ms, found = -1, 0
    for part in slices_of(plan_of(seed, 600), 600):
        foreign = {line for line in part.foreign if not is_command(line)}
        for line in part.lines:
            at_ms = None if is_command(line) or b'"source":"/broken"' in line else time_of(line)
            if at_ms is not None and at_ms > newest_ms:
                newest_ms = at_ms
                assert line not in foreign
        found += len(foreign)
    assert found > 0
