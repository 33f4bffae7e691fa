"""What the charger writes, and what its numbers can hold, is bounded."""

from typing import Any

import msgspec
import pytest
from aiokafka import ConsumerRecord

from meter.charger.charger import Charger
from meter.charger.state import Mark, encode
from meter.charger.update_parts import encoded_parts
from meter.core.decode import read
from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.core.wallet.source import Source
from meter.sessionizer.python_engine import CoreEngine
from meter.sessionizer.sessionizer import CHECKPOINT_EVENTS, SAFE_POINT_OFFSETS, Sessionizer
from meter.stage.blocks import unpack
from schemas.commands import BotCreated
from schemas.ids import digest
from schemas.ledger import LedgerUpdate, decode_ledger_update
from schemas.metered import ConversationMetered, SafePoint, decode_wallet_input
from schemas.money import MOST_MICROS
from schemas.topics import MAX_RECORD_BYTES
from schemas.versions import version_of
from tests.bench_wallet.records import START_MS, conversation, stored
from tests.oracle.build import CENT_20, DAY, STANDARD, command
from tests.unit.charger_state import State
from tests.unit.wallet_harness import WalletHarness

BILLION = 10**15


def test_credit_that_no_balance_can_hold_is_refused() -> None:
    """Others go on: the wallet counts up to 2^62 micro-dollars, and so does every sum of it."""
    wallet = WalletHarness(STANDARD)
    for number in range(MOST_MICROS // BILLION):
        wallet.command("credits.purchased", order_id=f"o-{number}", amount_micros=BILLION, method="wire")
    assert wallet.refused is None
    before = wallet.balance
    given: list[tuple[str, dict[str, Any]]] = [
        ("credits.purchased", {"order_id": "x", "method": "wire"}),
        ("grant.assigned", {"grant_id": "x"}),
    ]
    for kind, extra in given:
        assert wallet.command(kind, amount_micros=BILLION, **extra) == []
        assert wallet.refused is not None
        assert wallet.refused.code == "amount_too_large"
    assert wallet.balance == before
    assert wallet.balance.paid_micros < 2**63


def test_charges_stop_where_no_total_can_hold_them() -> None:
    """A wallet that was charged 2^62 micro-dollars is not charged more; its units are metered all the same."""
    priced = command("workspace.created", plan="enterprise", session_price_micros=BILLION)
    wallet = WalletHarness(priced)
    blocks = MOST_MICROS // BILLION + 3
    wallet.conversation(0, (blocks - 1) * 900_000 + 1, id="c")
    assert wallet.balance.paid_micros == -MOST_MICROS
    assert wallet.facts["c"].sessions == blocks
    wallet.absorbed(0, id="c", into="d")
    assert wallet.balance.paid_micros == 0


@pytest.mark.parametrize(
    "odd", [{"sessions": 2**62}, {"first_ms": -1}, {"last_ms": 2**62}, {"messages": 2**62}, {"workspace_id": "w" * 513}]
)
def test_a_metered_update_that_no_event_can_cause_is_refused(odd: dict[str, object]) -> None:
    """Its numbers and names are limited when it is read, so no loop and no sum follows from them."""
    given = msgspec.to_builtins(conversation("w", 1))
    assert isinstance(read(msgspec.json.encode(given), decode_wallet_input), ConversationMetered)
    assert isinstance(read(msgspec.json.encode(given | odd), decode_wallet_input), Rejected)


@pytest.mark.parametrize("field", ["name", "owner"])
def test_a_name_for_people_is_limited(field: str) -> None:
    """So a wallet of many bots stays small."""
    longest, longer = ({"bot_id": "b", field: "n" * length} for length in (512, 513))
    assert isinstance(read(named(longest), decode_wallet_input), BotCreated)
    refused = read(named(longer), decode_wallet_input)
    assert isinstance(refused, Rejected)
    assert field in refused.reason


def named(data: dict[str, Any]) -> bytes:
    return command("bot.created", id="n", **data)


def test_a_large_update_is_parts_that_no_reader_can_confuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row is in one part, all have one version, and only the last has the balance."""
    wallet = WalletHarness(STANDARD)
    for number in range(20):
        wallet.wallets.step(conversation("w", number))
    (update,) = wallet.wallets.drain_updates(0, 99)
    monkeypatch.setattr("meter.charger.update_parts.PART_BYTES", 2_000)
    encoded = list(encoded_parts(update))
    parts = [decode_ledger_update(each) for each in encoded]
    assert max(map(len, encoded)) <= 2_000
    assert {part.version for part in parts} == {99}
    assert [part.balance for part in parts] == [*[None] * (len(parts) - 1), update.balance]
    for name in ("entries", "conversations", "usage"):
        assert [each for part in parts for each in getattr(part, name)] == getattr(update, name)
    assert encoded_alone(update) == [update]


def encoded_alone(update: LedgerUpdate) -> list[LedgerUpdate]:
    """The parts of an update with as few rows as can be."""
    small = msgspec.structs.replace(update, entries=[], conversations=[], usage=[])
    (only,) = map(decode_ledger_update, encoded_parts(small))
    return [msgspec.structs.replace(update, balance=only.balance)]


def test_a_command_writes_its_own_entries_and_not_all_of_the_wallet() -> None:
    """A checkpoint grows with what changed, however many lots, bots and commands a workspace has."""
    charger = Charger(Policy(), 0)
    charger.finish(None, -1)
    texts = [STANDARD, *(bought(number) for number in range(300))]
    for offset, text in enumerate(texts):
        list(charger.process([stored(decode_wallet_input(text), offset)]))
    list(charger.changed())
    list(charger.process([stored(decode_wallet_input(bought(300)), 301)]))
    changed = [entry for block in charger.changed() for entry in unpack(block)]
    assert len(changed) == 3
    assert sum(len(key) + len(value or b"") for key, value in changed) < 1_000


def bought(number: int) -> bytes:
    order: dict[str, Any] = {"order_id": f"o-{number}", "amount_micros": CENT_20, "method": "card"}
    return command("credits.purchased", -60 * DAY, id=f"{number}", **order)


def test_a_rebilled_conversation_of_many_sessions_takes_time_in_proportion() -> None:
    """100,000 sessions are reversed and charged again at once."""
    wallet = WalletHarness(command("workspace.created", plan="enterprise", session_price_micros=2))
    wallet.conversation(0, 99_999 * 900_000 + 1, id=digest("c").hex())
    wallet.command("plan.changed", plan="enterprise", session_price_micros=1)
    assert wallet.balance.paid_micros == -100_000


def test_an_update_of_many_rows_is_never_whole_in_memory_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is divided by its number of rows before any of it is encoded."""
    wallet = WalletHarness(STANDARD)
    for number in range(20):
        wallet.wallets.step(conversation("w", number))
    (update,) = wallet.wallets.drain_updates(0, 99)
    monkeypatch.setattr("meter.charger.update_parts.PART_ROWS", 6)
    parts = [decode_ledger_update(each) for each in encoded_parts(update)]
    assert max(len(part.entries) + len(part.conversations) + len(part.usage) for part in parts) <= 6
    assert [part.balance for part in parts] == [*[None] * (len(parts) - 1), update.balance]
    assert [each for part in parts for each in part.entries] == update.entries


def test_one_lot_that_many_conversations_lapse_to_is_parts_of_an_update(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grant is withdrawn that has lapsed again and again: all of it is one input, and no record is large."""
    monkeypatch.setattr("meter.charger.update_parts.PART_BYTES", 20_000)
    state = State(Policy(conversation_micros=10, free_grant_micros=5_000, horizon_ms=300 * DAY))
    state.tell(*(conversation("w", number) for number in range(500)))
    state.tell(SafePoint(origin_partition=0, origin_offset=500, watermark_ms=START_MS + 100 * DAY))
    state.tell(decode_wallet_input(command("plan.changed", -90 * DAY, plan="enterprise", session_price_micros=5)))
    state.finish_slices()
    assert len(state.known()["w"]["wallet"]["lots"]["by_id"]["assumed"]["lapses"]) > 400
    state.largest_bytes = 0
    state.tell(decode_wallet_input(command("workspace.created", -90 * DAY, plan="standard")))
    assert 10_000 < state.largest_bytes <= 20_000


def test_a_checkpoint_of_the_sessionizer_is_due_after_so_many_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """At any interval, a safe point follows, and bounds what the wallets keep of occurrences in their mark."""
    monkeypatch.setattr("meter.sessionizer.sessionizer.CHECKPOINT_EVENTS", 4)
    sessionizer = Sessionizer(Policy(), 0, CoreEngine)
    due: list[bool] = []
    for number in range(8):
        list(sessionizer.process([stored_event(number)]))
        due.append(sessionizer.is_full)
        if sessionizer.is_full:
            sessionizer.mark()
            due.append(sessionizer.is_full)
    assert due == [False, False, False, True, False] * 2


def test_a_mark_of_the_wallets_is_small_between_two_safe_points() -> None:
    """With as many occurrences as can come, each in a late generation."""
    most = CHECKPOINT_EVENTS + SAFE_POINT_OFFSETS + MAX_RECORD_BYTES // 200
    recent = {version_of(9, offset) for offset in range(most)}
    assert len(encode(Mark(Source(recent=recent)))) < MAX_RECORD_BYTES // 4


def stored_event(number: int) -> ConsumerRecord:
    return ConsumerRecord("chat-events", 0, number, 0, 0, None, b"not json", None, -1, 0, ())
