"""What a checkpoint of the charger holds is what its wallets know, with lists that grow, shrink and end on pages."""

from collections.abc import Iterable, Sequence
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.money import inputs_of
from tests.properties.pipeline import STAGES, Turn, driven
from tests.properties.slices import slices_of
from tests.properties.worlds import GAP, NOW, POLICY, hard_feeds, on_the_instant, steady
from tests.unit.charger_state import State

every = st.integers(1, 12)
FEW = max(40, settings().max_examples // 3)


def check(lines: Sequence[bytes], taken: Iterable[Turn], size: int) -> None:
    """Compare what the wallets know with what a restore finds, after each checkpoint. A page has one row."""
    with slices_of(2), patch("meter.core.wallet.pages.PAGE_ROWS", 1):
        (inputs,) = inputs_of(driven(lines, NOW, taken, POLICY, partitions=1))
        state = State(POLICY)
        for at in range(0, len(inputs), size):
            state.tell(*inputs[at : at + size])
            assert state.restored() == state.known()


@settings(max_examples=FEW)
@given(hard_feeds, steady, every)
def test_what_a_checkpoint_holds_is_what_the_wallets_know(lines: list[bytes], taken: list[Turn], size: int) -> None:
    """After any number of checkpoints, each of which writes only what changed."""
    check(lines, taken, size)


@settings(max_examples=FEW)
@given(on_the_instant(st.integers(0, 3).map(lambda number: number * 2 * GAP), 500_000), every)
def test_lapses_that_late_units_undo_are_what_the_wallets_know(lines: list[bytes], size: int) -> None:
    """In part, or whole, when the grant that pays for them has lapsed."""
    check(
        lines, [Turn(stage, 0, 1, checkpoint=True, feed=stage == "sessionize") for _ in lines for stage in STAGES], size
    )
