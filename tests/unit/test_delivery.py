"""What a reader may conclude of the batches that it gets, at the exact bounds."""

import pytest

from schemas.delivery import QUIET_S, TURN_S, is_hole, is_quiet, may_be_dropped


@pytest.mark.parametrize(("base", "hole"), [(0, False), (6, False), (7, False), (8, True), (2**62, True)])
def test_a_hole_is_what_begins_beyond_what_is_expected(base: int, hole: bool) -> None:
    """Offset 7 is expected: a batch or a position that begins there or before leaves out no record."""
    assert is_hole(base, 7) is hole


@pytest.mark.parametrize(("quiet_s", "quiet"), [(0.0, False), (QUIET_S, False), (QUIET_S + 0.001, True)])
def test_a_partition_is_quiet_after_five_seconds(quiet_s: float, quiet: bool) -> None:
    """Not at five: a reader that asks every five seconds would ask of every partition."""
    assert is_quiet(quiet_s) is quiet


@pytest.mark.parametrize(
    ("quiet_s", "idle_s", "dropped"),
    [
        (QUIET_S, QUIET_S, False),
        (QUIET_S + 0.001, QUIET_S + 0.001, True),
        (QUIET_S + 0.001, QUIET_S, False),
        (QUIET_S + TURN_S, 0.0, False),
        (QUIET_S + TURN_S + 0.001, 0.0, True),
        (0.0, float("inf"), False),
    ],
)
def test_a_batch_may_wait_behind_other_partitions(quiet_s: float, idle_s: float, dropped: bool) -> None:
    """Five seconds after the last batch of any partition, and 20 after the partition's own in any case."""
    assert may_be_dropped(quiet_s, idle_s) is dropped
