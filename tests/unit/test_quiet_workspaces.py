"""A workspace without anything live costs little memory, and is there when it is needed again."""

import gc
import tracemalloc
from collections.abc import Iterator

from meter.charger.charger import Charger
from meter.charger.state import decode_key
from meter.core.policy import Policy
from meter.core.wallet.wallets import Wallets
from meter.stage.blocks import unpack
from schemas.instants import DAY_MS
from schemas.ledger import Entry, decode_ledger_update
from schemas.metered import SafePoint, WalletInput
from schemas.topics import LEDGER
from tests.bench_wallet.records import START_MS, conversation, stored
from tests.packed_records import listed

WORKSPACES, EACH = 500, 5
LAST = WORKSPACES * EACH
QUIET_BYTES = 600
LIFE_MS = Policy().grant_life_ms


def passed(at_ms: int, origin_offset: int = LAST) -> SafePoint:
    return SafePoint(origin_partition=0, origin_offset=origin_offset, watermark_ms=at_ms)


def given(charger: Charger, offset: int, *inputs: WalletInput) -> Iterator[Entry]:
    """What inputs from an offset on enter."""
    for output in charger.process([stored(each, offset + number) for number, each in enumerate(inputs)]):
        for record in listed(output.records) if output.topic is LEDGER else ():
            yield from decode_ledger_update(record.value or b"").entries


def quiet(at_ms: int = START_MS + 10 * DAY_MS) -> Charger:
    """A charger after a checkpoint, ten days after the last message; all of its workspaces began in one second."""
    charger = Charger(Policy(), 0)
    talk = [conversation(name_of(number % WORKSPACES), number, state="closed") for number in range(LAST)]
    for _ in given(charger, 0, *talk, passed(at_ms)):
        pass
    list(charger.changed())
    return charger


def name_of(number: int) -> str:
    return f"workspace-{number:06}"


def wallets_of(charger: Charger) -> Wallets:
    return charger._wallets


def test_a_workspace_without_anything_live_is_small() -> None:
    """Its balances and lots stay, as bytes, and 8 bytes for the end of its grant.

    316 bytes in a larger partition, with CPython 3.11.
    """
    gc.collect()
    tracemalloc.start(1)
    try:
        charger = quiet()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] / WORKSPACES < QUIET_BYTES
    finally:
        tracemalloc.stop()
    assert wallets_of(charger).books == {}
    assert wallets_of(charger).workspaces == WORKSPACES


def test_a_quiet_workspace_goes_on_with_the_next_input() -> None:
    charger = quiet()
    entries = list(given(charger, LAST + 1, conversation(name_of(7), LAST + 1)))
    assert [(each.seq, each.kind, each.lot_kind) for each in entries] == [(EACH + 2, "charge", "free")]
    assert list(wallets_of(charger).books) == [name_of(7)]


def test_a_checkpoint_after_it_writes_what_changed_and_nothing_else() -> None:
    charger = quiet()
    list(given(charger, LAST + 1, conversation(name_of(7), LAST + 1)))
    keys = [decode_key(key) for block in charger.changed() for key, _ in unpack(block)]
    assert sorted(key.kind for key in keys) == ["conversation", "lot", "usage", "wallet"]
    assert {key.workspace_id for key in keys} == {name_of(7)}


def test_the_grant_of_a_quiet_workspace_lapses_at_its_instant() -> None:
    """Also of one that was read to know the instant, an hour before at most, and stayed packed."""
    charger, ends_ms = quiet(), START_MS + 7 + LIFE_MS
    before = list(given(charger, LAST + 1, passed(ends_ms - 1, LAST + 1)))
    assert {each.kind for each in before} == {"lapse"}
    assert {each.entry_id.split("#")[0] for each in before} == {name_of(number) for number in range(7)}
    list(charger.changed())
    assert wallets_of(charger).books == {}
    entries = list(given(charger, LAST + 2, passed(ends_ms, LAST + 2)))
    assert [(each.entry_id.split("#")[0], each.kind) for each in entries] == [(name_of(7), "lapse")]


def test_a_restore_makes_no_objects_of_quiet_workspaces() -> None:
    """Neither at once, nor with the next safe point: what has lapsed already needs no timer."""
    charger = quiet(START_MS + DAY_MS + LIFE_MS)
    anew = Charger(Policy(), 0)
    anew.load(0, charger.sweep(2**40)[0])
    anew.finish(charger.mark(), -1)
    assert wallets_of(anew).workspaces == WORKSPACES
    assert list(given(anew, LAST + 1, passed(START_MS + 2 * DAY_MS + LIFE_MS, LAST + 1))) == []
    assert wallets_of(anew).books == {}


def test_a_grant_lapses_at_its_instant_after_a_restore() -> None:
    charger = quiet()
    anew = Charger(Policy(), 0)
    anew.load(0, charger.sweep(2**40)[0])
    anew.finish(charger.mark(), -1)
    entries = list(given(anew, LAST + 1, passed(START_MS + LIFE_MS, LAST + 1)))
    assert [(each.entry_id.split("#")[0], each.kind) for each in entries] == [(name_of(0), "lapse")]


def test_a_sweep_leaves_quiet_workspaces_packed() -> None:
    charger = quiet()
    entries = list(unpack(charger.sweep(2**40)[0]))
    assert len(entries) == 6 * WORKSPACES  # A wallet, its plan, a lot and three bots each.
    assert wallets_of(charger).books == {}
