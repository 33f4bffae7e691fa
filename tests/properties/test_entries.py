"""What a checkpoint of the charger holds is what its wallets know, with lists that grow, shrink and end on pages."""

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.money import inputs_of
from tests.properties.pipeline import Turn, driven
from tests.properties.slices import slices_of
from tests.properties.worlds import NOW, POLICY, hard_feeds, steady
from tests.unit.charger_state import State


@settings(max_examples=max(40, settings().max_examples // 3))
@given(hard_feeds, steady, st.integers(1, 12))
def test_what_a_checkpoint_holds_is_what_the_wallets_know(lines: list[bytes], taken: list[Turn], every: int) -> None:
    """After any number of checkpoints, each of which writes only what changed. A page has one row."""
    with slices_of(2), patch("meter.core.wallet.pages.PAGE_ROWS", 1):
        (inputs,) = inputs_of(driven(lines, NOW, taken, POLICY, partitions=1))
        state = State(POLICY)
        for at in range(0, len(inputs), every):
            state.tell(*inputs[at : at + every])
            assert state.restored() == state.known()
