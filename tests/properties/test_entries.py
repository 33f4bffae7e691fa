"""What a checkpoint of the charger holds is what its wallets know, with lists that grow, shrink and end in chunks."""

from collections.abc import Iterable, Sequence
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.money import inputs_of
from tests.properties.pipeline import STAGES, Turn, driven
from tests.properties.slices import slices_of
from tests.properties.worlds import (
    ENTERPRISE,
    GAP,
    NOW,
    POLICY,
    START,
    STEP,
    accounts,
    chat,
    command,
    hard_feeds,
    on_the_instant,
    steady,
)
from tests.unit.charger_state import State

PLANS = ({"plan": "standard"}, {"plan": "enterprise", "session_price_micros": 70_000})

every = st.integers(1, 12)
FEW = max(40, settings().max_examples // 3)


def check(lines: Sequence[bytes], taken: Iterable[Turn], size: int) -> None:
    """Compare what the wallets know with what a restore finds, after each checkpoint. A chunk has one row."""
    with slices_of(2), patch("meter.core.wallet.chunks.CHUNK_ROWS", 1):
        (inputs,) = inputs_of(driven(lines, NOW, taken, POLICY, partitions=1))
        state = State(POLICY)
        for at in range(0, len(inputs), size):
            state.tell(*inputs[at : at + size])
            assert state.restored() == state.known()


def event_by_event(lines: Sequence[bytes]) -> list[Turn]:
    """Each line is metered, and then charged, before the next one is fed."""
    return [Turn(stage, 0, 1, checkpoint=True, feed=stage == "sessionize") for _ in lines for stage in STAGES]


@settings(max_examples=FEW)
@given(hard_feeds, steady, every)
def test_what_a_checkpoint_holds_is_what_the_wallets_know(lines: list[bytes], taken: list[Turn], size: int) -> None:
    """After any number of checkpoints, each of which writes only what changed."""
    check(lines, taken, size)


@st.composite
def growing(draw: st.DrawFn) -> list[bytes]:
    """A conversation of more and more sessions, and plans that charge it by session or whole."""
    lines, at_ms = accounts(), START
    for number in range(draw(st.integers(2, 14))):
        at_ms += draw(st.sampled_from((STEP, GAP)))
        lines.append(chat(at_ms, f"e-{number}", (ENTERPRISE, "b-1", "web", "u-1")))
        if draw(st.integers(0, 4)) == 0:
            plan: dict[str, Any] = draw(st.sampled_from(PLANS))
            lines.append(command("plan.changed", START - 1, f"p-{number:02}", ENTERPRISE, **plan))
    return lines


@settings(max_examples=FEW)
@given(growing(), every)
def test_units_that_move_to_chunks_and_back_are_what_the_wallets_know(lines: list[bytes], size: int) -> None:
    """One conversation, in order of time."""
    check(lines, event_by_event(lines), size)


@settings(max_examples=FEW)
@given(on_the_instant(st.integers(0, 3).map(lambda number: number * 2 * GAP), 500_000), every)
def test_lapses_that_late_units_undo_are_what_the_wallets_know(lines: list[bytes], size: int) -> None:
    """In part, or whole, when the grant that pays for them has lapsed."""
    check(
        lines, [Turn(stage, 0, 1, checkpoint=True, feed=stage == "sessionize") for _ in lines for stage in STAGES], size
    )
