"""Plans and workspaces that come to light late, and what is forgotten."""

from collections.abc import Iterable

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from meter.core.sessions.keys import is_bucket_key
from meter.core.wallet.wallets import Wallets
from schemas.metered import ConversationMetered, OccurrenceMetered, WalletInput, decode_wallet_input
from tests.feeds.lines import DAY_MS
from tests.oracle.oracle import meter
from tests.properties.money import audit, inputs_of, oracle_totals, totals
from tests.properties.pipeline import Pipeline, Turn, driven, metered
from tests.properties.worlds import (
    HOLD,
    HORIZON,
    NOW,
    POLICY,
    START,
    STRANGERS,
    Arrival,
    arranged,
    chats,
    command,
    delays,
    hard_feeds,
    plan_changes,
    steady,
    times,
    turns,
)

# A plan that comes to light late; a workspace that does.


@given(hard_feeds, turns)
def test_nothing_is_kept_of_what_is_settled(lines: list[bytes], taken: list[Turn]) -> None:
    """State older than the horizon is purged from the checkpoints too: conversations, their charges and days go, with
    all ids but those of the last bucket, whose number says which is next; wallets stay, with plans and lapses."""
    pipeline = Pipeline(lines, NOW, POLICY)
    pipeline.run(taken)
    assert any(key for key in pipeline.state("charge"))
    for days in (3, 6, 9):
        pipeline.tick(START + days * DAY_MS)
    left = pipeline.state("sessionize")
    assert [is_bucket_key(key) for key in left] in ([], [True])
    held = {msgspec.msgpack.decode(key)[0] for key in pipeline.state("charge")}
    assert held <= {"wallet", "term", "lot", "lot_lapses", "bot", "command"}


@given(chats(), plan_changes())
def test_a_plan_that_comes_to_light_late_bills_again(arrivals: list[Arrival], changes: list[Arrival]) -> None:
    """DOMAIN, Prices: the plan in force by the command's own time bills, so early or late makes no difference."""
    early = arranged([Arrival(0, each.text) for each in changes], arrivals)
    late = arranged(changes, arrivals)
    assert totals(metered(late, NOW, (), POLICY)) == totals(metered(early, NOW, (), POLICY))


@given(chats(who=STRANGERS), times, delays, turns)
def test_a_command_that_creates_a_workspace_late_bills_as_if_it_had_come_first(
    arrivals: list[Arrival], at: int, delay: int, taken: list[Turn]
) -> None:
    """Policy `provision`: what was assumed for want of a command leaves nothing behind in what is charged."""
    created = command("workspace.created", at, "late", "stranger", plan="enterprise", session_price_micros=70_000)
    lines = arranged(arrivals, [Arrival(START + delay, created)])
    found = metered(lines, NOW, taken, POLICY, partitions=1)
    assert totals(found) == oracle_totals(meter(lines, NOW, horizon_ms=HORIZON))


@given(chats(who=STRANGERS), times, st.sampled_from(("standard", "enterprise")), steady)
def test_held_charges_are_made_once_the_workspace_is_created(
    arrivals: list[Arrival], at: int, plan: str, taken: list[Turn]
) -> None:
    """Policy `hold`: metered and kept, charged when the command comes, by its plan, however late it is."""
    priced = {"session_price_micros": 70_000} if plan == "enterprise" else {}
    created = Arrival(at, command("workspace.created", START, "late", "stranger", plan=plan, **priced))
    for feed in (arranged(arrivals), arranged(arrivals, [created])):
        result = meter(feed, NOW, horizon_ms=HORIZON, policy="hold")
        found = metered(feed, NOW, taken, HOLD)
        assert totals(found) == oracle_totals(result)
        audit(found)


@given(chats(who=STRANGERS))
def test_held_charges_are_made_in_order_of_time(arrivals: list[Arrival]) -> None:
    """So that the credit a workspace is created with pays for what came first."""
    wallets = Wallets(HOLD)
    (inputs,) = inputs_of(driven(arranged(arrivals), NOW, (), HOLD, partitions=1))
    for each in inputs:
        wallets.step(each)
    wallets.drain_updates(0, 0)
    created = command("workspace.created", START, "late", "stranger", plan="enterprise", session_price_micros=1)
    wallets.step(decode_wallet_input(created))
    (update,) = wallets.drain_updates(0, 1)
    firsts = {fact.conversation_id: fact.first_ms for fact in update.conversations}
    charged = [entry for entry in update.entries if entry.kind == "charge"]
    assert [firsts[entry.conversation_id] for entry in charged] == sorted(
        firsts[entry.conversation_id] for entry in charged
    )
    assert {entry.conversation_id for entry in charged} == {each for each, _ in _billable(inputs)}


def _billable(inputs: Iterable[WalletInput]) -> set[tuple[str, str]]:
    newest: dict[str, ConversationMetered] = {}
    for each in inputs:
        if isinstance(each, ConversationMetered) and each.workspace_id == "stranger":
            newest[each.conversation_id] = each
    return {(each.conversation_id, each.bot_id) for each in newest.values() if each.requests}


@given(chats(who=STRANGERS), steady)
def test_a_provisioned_workspace_begins_with_its_earliest_event(arrivals: list[Arrival], taken: list[Turn]) -> None:
    """Policy `provision`: events come in any order, and each earlier one moves the beginning, and with it the term of
    the free grant, back."""
    lines = arranged(arrivals)
    for partition, inputs in enumerate(inputs_of(driven(lines, NOW, taken, POLICY))):
        wallets = Wallets(POLICY, partition)
        for each in inputs:
            wallets.step(each)
        book = wallets.books.get("stranger")
        firsts = [_begins(each) for each in inputs if _is_strangers(each)]
        if book is None:
            assert not firsts
            continue
        lot = book.wallet.lots.by_id["assumed"]
        assert lot.assigned_ms == min(firsts)
        assert lot.expires_ms == lot.assigned_ms + POLICY.grant_life_ms


def _is_strangers(each: WalletInput) -> bool:
    return isinstance(each, ConversationMetered | OccurrenceMetered) and each.workspace_id == "stranger"


def _begins(each: WalletInput) -> int:
    assert isinstance(each, ConversationMetered | OccurrenceMetered)
    return each.first_ms if isinstance(each, ConversationMetered) else each.at_ms
