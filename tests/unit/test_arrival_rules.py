"""When a grant counts, when a purchase is too early, and what a name says of two."""

from typing import Any

import pytest

from meter.core.rejection import Rejected
from schemas.metered import WalletInput, decode_wallet_input
from tests.oracle.build import CENT_20, DAY, ENTERPRISE, HOUR, MIN, STANDARD, T0, chat, command, run
from tests.unit.wallet_harness import WalletHarness, moved


def given(kind: str, at: int, **data: Any) -> WalletInput:
    found: WalletInput = decode_wallet_input(command(kind, at, **data))
    return found


def test_a_grant_counts_from_its_beginning_on() -> None:
    """Not a millisecond before, by the workspace's clock; then it is an entry."""
    wallet = WalletHarness(STANDARD)
    wallet.passes(0)
    assert wallet.command("grant.assigned", HOUR, grant_id="g", amount_micros=5) == []
    assert wallet.passes(HOUR - 1) == []
    assert wallet.balance.free_micros == 0
    assert moved(wallet.passes(HOUR)) == [("grant", "grant:g", 5)]
    assert wallet.balance.free_micros == 5


def test_a_unit_within_its_term_enters_a_grant_before_the_clock_does() -> None:
    """The unit is there, so event time has come that far."""
    wallet = WalletHarness(STANDARD)
    wallet.passes(0)
    wallet.command("grant.assigned", HOUR, grant_id="g", amount_micros=CENT_20)
    entries = wallet.conversation(HOUR)
    assert moved(entries) == [("grant", "grant:g", CENT_20), ("charge", "grant:g", -CENT_20)]


def test_a_grant_that_has_not_begun_is_in_no_balance_of_the_oracle() -> None:
    """It begins after the feed has ended."""
    to_come = command("grant.assigned", 3000 * DAY, grant_id="g", amount_micros=5)
    assert run(STANDARD, chat(0), to_come).balances["w"].free == 0


@pytest.mark.parametrize(("ahead_ms", "code"), [(5 * MIN, None), (5 * MIN + 1, "future")])
def test_a_purchase_is_taken_up_to_five_minutes_ahead(ahead_ms: int, code: str | None) -> None:
    """Of its arrival at Kafka; other commands may be in the future."""
    wallet = WalletHarness(STANDARD)
    order = given("credits.purchased", ahead_ms, order_id="o", amount_micros=5, method="card")
    refused = wallet.wallets.step(order, 1, T0)
    assert (refused.code if isinstance(refused, Rejected) else None) == code
    later = given("plan.changed", 30 * DAY, plan="standard")
    assert wallet.wallets.step(later, 2, T0) is None


def test_the_assumed_grant_is_taken_back_when_a_command_says_otherwise() -> None:
    """Enterprise without a grant: what was paid by it is charged to paid credit."""
    wallet = WalletHarness()
    wallet.conversation(0)
    assert wallet.balance.free_micros == 500_000_000 - CENT_20
    entries = wallet.tell(decode_wallet_input(ENTERPRISE))
    assert [kind for kind, _, _ in moved(entries)] == ["grant_reversal", "reversal", "grant_reversal", "charge"]
    assert (wallet.balance.free_micros, wallet.balance.paid_micros) == (0, -100_000)


def test_what_the_assumed_grant_paid_for_forgotten_conversations_is_spent() -> None:
    """A workspace that is created late has no more free credit than one that was created in time."""
    wallet = WalletHarness()
    wallet.conversation(0, state="closed")
    wallet.passes(3 * DAY)
    wallet.tell(decode_wallet_input(command("workspace.created", plan="standard")))
    assert wallet.balance.free_micros == 500_000_000 - CENT_20


def test_a_bot_is_named_by_the_last_command_by_time_source_and_id() -> None:
    """In any order of arrival."""
    texts = [command("bot.created", at, bot_id="b", name=name, id=name) for at, name in ((0, "a"), (0, "c"), (-1, "z"))]
    for order in (texts, texts[::-1]):
        wallet = WalletHarness(STANDARD, *order)
        assert wallet.wallets.books["w"].wallet.bots["b"].name == "c"


def test_what_waits_for_its_slice_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Event time passes it in between; it is charged by the new plan, and forgotten after that."""
    monkeypatch.setattr("meter.core.wallet.rebilling.SLICE_CONVERSATIONS", 1)
    wallet = WalletHarness(ENTERPRISE)
    for number in range(3):
        wallet.conversation(number * HOUR, id=f"c-{number}", state="closed")
    wallet.command("plan.changed", -HOUR, plan="enterprise", session_price_micros=1)
    wallet.passes(3 * DAY)
    wallet.wallets.books["w"].waiting = None  # As after a restart.
    while due := wallet.wallets.take_due_slices():
        wallet.tell(due[0])
    assert wallet.balance.paid_micros == -3
    wallet.passes(4 * DAY)
    assert wallet.wallets.books["w"].conversations == {}
