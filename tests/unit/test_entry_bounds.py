"""Every entry of a checkpoint is bounded, and a checkpoint writes what changed, however much a workspace has."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest

from meter.core.policy import Policy
from meter.stage.blocks import unpack
from schemas.ids import digest
from schemas.metered import ConversationMetered, SafePoint, WalletInput, decode_wallet_input
from tests.bench_wallet.records import stored
from tests.oracle.build import DAY, STANDARD, T0, command
from tests.unit.charger_state import State

SMALL_BYTES = 16 * 1024
"""An entry of ordinary names."""

MANY = 3_000
ENTERPRISE = command("workspace.created", -2 * DAY, plan="enterprise", session_price_micros=2)


def told(*texts: bytes) -> list[WalletInput]:
    return [decode_wallet_input(text) for text in texts]


def plans(numbers: range) -> list[WalletInput]:
    """Changes of the workspace's plan, each a second after the one before."""
    return told(
        *(
            command("plan.changed", number * 1_000, id=f"p-{number}", plan="enterprise", session_price_micros=number)
            for number in numbers
        )
    )


def conversation(offset: int, sessions: int, name: str = "c", first_ms: int = T0) -> ConversationMetered:
    return ConversationMetered(
        workspace_id="w",
        bot_id="b",
        channel="web",
        channel_user_id="u",
        origin_partition=0,
        origin_offset=offset,
        produced_ms=0,
        conversation_id=digest(name).hex(),
        opened_ms=first_ms,
        state="closed",
        first_ms=first_ms,
        last_ms=first_ms + (sessions - 1) * 900_000 + 1,
        messages=sessions,
        requests=sessions,
        sessions=sessions,
    )


def test_a_workspace_of_many_plans_has_small_entries() -> None:
    """Each time at which a plan begins is an entry. One plan more writes two entries."""
    state = State()
    state.tell(*told(STANDARD), *plans(range(MANY)))
    assert state.save() < SMALL_BYTES
    assert len(state.restored()["w"]["wallet"]["plan"]["terms"]) == MANY + 1
    state.tell(*plans(range(MANY, MANY + 1)))
    before = dict(state.entries)
    state.save()
    assert len([key for key in state.entries if before.get(key) != state.entries[key]]) <= 3


def test_plans_of_one_instant_are_at_most_two_terms() -> None:
    """The one that stands, and the last one with an enterprise price, which a bot may have inherited."""
    state = State()
    texts = [
        command("plan.changed", id=f"{number:05}", plan="enterprise", session_price_micros=number)
        for number in range(500)
    ]
    state.tell(*told(ENTERPRISE, *texts, command("plan.changed", id="9", plan="standard")))
    (*_, priced, last) = state.restored()["w"]["wallet"]["plan"]["terms"]
    assert (priced["price_micros"], last["plan"]) == (499, "standard")
    assert state.save() < SMALL_BYTES


def test_a_conversation_of_many_sessions_has_small_entries() -> None:
    """Its units lie in chunks. One session more writes one chunk."""
    state = State()
    state.tell(*told(ENTERPRISE), conversation(1, MANY))
    assert state.save() < SMALL_BYTES
    assert len(state.restored()["w"]["conversations"][digest("c").hex()]["units"]) == MANY
    state.tell(conversation(2, MANY + 1))
    assert state.changed_bytes() < SMALL_BYTES


def test_a_unit_that_many_lots_paid_has_small_entries() -> None:
    """Each part is a row of a chunk."""
    state = State()
    grants = [command("grant.assigned", id=f"g-{each}", grant_id=f"{each}", amount_micros=1) for each in range(MANY)]
    priced = command("workspace.created", -2 * DAY, plan="enterprise", session_price_micros=MANY + 1)
    state.tell(*told(priced, *grants), conversation(1, 2))
    assert state.save() < SMALL_BYTES
    first, second = state.restored()["w"]["conversations"][digest("c").hex()]["units"]
    assert (len(first["parts"]), len(second["parts"])) == (MANY + 1, 1)


def lapses_of(state: State) -> list[dict[str, Any]]:
    lapses: list[dict[str, Any]] = state.restored()["w"]["wallet"]["lots"]["by_id"]["grant:g"]["lapses"]
    return lapses


def test_a_lot_of_many_lapses_has_small_entries() -> None:
    """An expired grant lapses again with each charge that is reversed. Undoing the newest lapse writes its chunk."""
    given = command("grant.assigned", 0, grant_id="g", amount_micros=MANY * 2)
    state = State(Policy(horizon_ms=200 * DAY))
    state.tell(*told(ENTERPRISE, given))
    state.tell(*(conversation(each, 1, str(each)) for each in range(MANY)))
    state.tell(SafePoint(origin_partition=0, origin_offset=MANY, watermark_ms=T0 + 100 * DAY))
    state.tell(*told(command("plan.changed", 0, plan="enterprise", session_price_micros=1)))
    state.finish_slices()
    assert len(lapses_of(state)) >= MANY // 2
    assert state.save() < SMALL_BYTES
    state.tell(conversation(MANY + 1, 1, "late"))
    assert state.changed_bytes() < SMALL_BYTES


encoded = msgspec.msgpack.Encoder().encode

LONGEST = "\U0001f4b0" * 512
"""A name of 512 characters, each of four bytes."""


def numbered(number: int) -> str:
    return f"{number:0>4}" + LONGEST[4:]


def names_at_their_longest() -> Iterator[WalletInput]:
    """A conversation of 200 sessions, of which 150 grants paid the first; and a bot with a plan of its own."""
    priced: dict[str, Any] = {"plan": "enterprise", "session_price_micros": 200}
    commands: list[bytes] = [
        command("workspace.created", ws=LONGEST, id=LONGEST, name=LONGEST, owner=LONGEST, **priced),
        *(
            command("grant.assigned", ws=LONGEST, id=numbered(each), grant_id=numbered(each), amount_micros=1)
            for each in range(150)
        ),
        command("bot.created", ws=LONGEST, id="b", bot_id=LONGEST, name=LONGEST, owner=LONGEST, **priced),
    ]
    for each in told(*commands):
        yield msgspec.structs.replace(each, source=LONGEST)
    names = {"workspace_id": LONGEST, "conversation_id": LONGEST, "channel": LONGEST, "channel_user_id": LONGEST}
    yield msgspec.structs.replace(conversation(1, 200), **names)


def test_entries_are_bounded_with_the_longest_names() -> None:
    """A chunk of units is the largest: 64 rows, each with the names of an entry, of a lot and of a unit."""
    state = State()
    state.tell(*names_at_their_longest())
    assert max(map(len, map(encoded, state.known()[LONGEST]["conversations"].values()))) > 1024 * 1024
    assert state.save() < 512 * 1024


def test_state_of_an_earlier_format_is_written_again() -> None:
    """What its entries held beside themselves is in the first checkpoint, and nothing of it is lost or there twice."""
    state = State(Policy(horizon_ms=200 * DAY))
    bot = command("bot.created", id="b", bot_id="b", plan="standard")
    given = command("grant.assigned", 0, grant_id="g", amount_micros=MANY * 2)
    state.tell(*told(ENTERPRISE, given, bot), *plans(range(100)), conversation(1, 200))
    state.tell(*(conversation(2 + each, 1, str(each), T0 + each) for each in range(100)))
    state.tell(SafePoint(origin_partition=0, origin_offset=200, watermark_ms=T0 + 100 * DAY))
    state.tell(*told(command("plan.changed", 0, plan="enterprise", session_price_micros=1)))
    state.finish_slices()
    known = state.known()
    old = State.of(state.in_format_1(), state.charger.mark())
    assert old.known() == known
    old.save()
    assert old.restored() == known
    assert State.of(old.entries, old.charger.mark()).changed_bytes() == 0


def test_what_is_restored_is_what_was_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    """With chunks so small that lists move to them and back, at every checkpoint."""
    monkeypatch.setattr("meter.core.wallet.chunks.CHUNK_ROWS", 2)
    state = State()
    state.tell(*told(ENTERPRISE))
    sessions: Sequence[int] = (1, 2, 3, 4, 3, 2, 1, 7, 7, 1, 5, 3)
    for offset, number in enumerate(sessions, 1):
        state.tell(conversation(offset, number))
        if offset % 3:
            state.save()
            assert state.restored() == state.known()


def test_chunks_of_a_forgotten_conversation_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is left in the state."""
    monkeypatch.setattr("meter.core.wallet.chunks.CHUNK_ROWS", 2)
    state = State()
    state.tell(*told(ENTERPRISE), conversation(1, 9))
    state.save()
    state.tell(SafePoint(origin_partition=0, origin_offset=2, watermark_ms=T0 + 9 * DAY))
    state.save()
    assert not any(b"units" in key or b"conversation" in key for key in state.entries)
    assert state.restored() == state.known()


def test_a_sweep_writes_every_entry() -> None:
    """Chunks and terms too: what a sweep has written is the whole state."""
    state = State()
    state.tell(*told(ENTERPRISE), *plans(range(70)), conversation(1, 200))
    state.save()
    swept: dict[bytes, bytes | None] = {}
    is_over = False
    while not is_over:
        block, is_over = state.charger.sweep(300)
        swept |= dict(unpack(block))
    assert swept == state.entries


def test_a_stored_input_is_read_as_it_was_told() -> None:
    """The harness writes inputs as the log has them."""
    assert decode_wallet_input(stored(conversation(1, 2), 0).value) == conversation(1, 2)
