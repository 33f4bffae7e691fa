"""Entries of a checkpoint that was cut off before its mark: they count once the next owner has written a later mark."""

import pytest

from meter.core.policy import Policy
from schemas.metered import SafePoint
from tests.oracle.build import DAY, T0, command
from tests.unit.charger_state import State
from tests.unit.test_entry_bounds import ENTERPRISE, conversation, told


def next_owner_of(state: State) -> State:
    """One that was restored from the last checkpoint, and finds what the owner before writes from now on."""
    state.save()
    return state.restarted()


def assert_restored_as_it_is(owner: State, cut_off: State) -> None:
    """The next owner has written over what it has changed; the rest of what was cut off stands."""
    cut_off.save()
    owner.entries = dict(cut_off.entries)
    assert owner.restored() == owner.known()


@pytest.mark.parametrize("rows", [1, 2, 64])
def test_a_conversation_that_began_and_was_forgotten_leaves_no_units(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its chunks of units were not there at the last checkpoint, and are not there now; in between they were."""
    monkeypatch.setattr("meter.core.wallet.chunks.CHUNK_ROWS", rows)
    first = State()
    first.tell(*told(ENTERPRISE))
    second = next_owner_of(first)
    for each in (first, second):
        each.tell(conversation(1, 200))
    second.tell(SafePoint(origin_partition=0, origin_offset=2, watermark_ms=T0 + 9 * DAY))
    assert second.known()["w"]["conversations"] == {}
    assert_restored_as_it_is(second, first)


@pytest.mark.parametrize("rows", [1, 2])
def test_units_that_became_more_and_fewer_are_those_of_now(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of plan makes one unit of many sessions."""
    monkeypatch.setattr("meter.core.wallet.chunks.CHUNK_ROWS", rows)
    first = State()
    first.tell(*told(ENTERPRISE), conversation(1, 3))
    second = next_owner_of(first)
    for each in (first, second):
        each.tell(conversation(2, 9))
    second.tell(*told(command("plan.changed", -DAY, plan="standard")))
    second.finish_slices()
    assert_restored_as_it_is(second, first)


def test_lapses_that_became_more_and_fewer_are_those_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reversal to an expired grant lapses; a late charge takes the newest lapses back."""
    monkeypatch.setattr("meter.core.wallet.chunks.CHUNK_ROWS", 1)
    first = State(Policy(horizon_ms=200 * DAY))
    first.tell(*told(ENTERPRISE, command("grant.assigned", 0, grant_id="g", amount_micros=20)))
    first.tell(*(conversation(each, 1, str(each)) for each in range(6)))
    first.tell(SafePoint(origin_partition=0, origin_offset=6, watermark_ms=T0 + 100 * DAY))
    second = next_owner_of(first)
    for each in (first, second):
        each.tell(*told(command("plan.changed", 0, plan="enterprise", session_price_micros=1)))
        each.finish_slices()
    lapses = [len(each.known()["w"]["wallet"]["lots"]["by_id"]["grant:g"]["lapses"]) for each in (first, second)]
    for late in range(7, 12):
        second.tell(conversation(late, 1, str(late)))
    lapses.append(len(second.known()["w"]["wallet"]["lots"]["by_id"]["grant:g"]["lapses"]))
    assert lapses[0] == lapses[1] > lapses[2], "no lapse was taken back: the test shows nothing"
    assert_restored_as_it_is(second, first)
