"""What the charger writes, and what its numbers can hold, is bounded."""

from typing import Any

import msgspec
import pytest

from meter.charger.charger import Charger
from meter.charger.update_parts import encoded_parts
from meter.core.decode import read
from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.stage.blocks import unpack
from schemas.commands import BotCreated
from schemas.ids import digest
from schemas.ledger import LedgerUpdate, decode_ledger_update
from schemas.metered import ConversationMetered, decode_wallet_input
from schemas.money import MOST_MICROS
from tests.bench_wallet.records import conversation, stored
from tests.oracle.build import CENT_20, DAY, STANDARD, command
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
