"""The wallets: conservation of money, whatever comes in whatever order, and the oracle's balances of sorted feeds."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from meter.core.policy import Policy
from meter.core.wallets import Wallets
from schemas.instants import day_of
from schemas.ledger import BalanceFact, ConversationFact, Entry, Page, UsageFact
from schemas.metered import ConversationMetered, OccurrenceMetered, WalletInput, decode_wallet_input
from schemas.topics import WALLET_INPUTS
from tests.feeds.generator import generate
from tests.feeds.lines import DAY_MS, HOUR_MS, stamp
from tests.oracle.oracle import Result, meter
from tests.oracle.reading import to_ms
from tests.properties.pipeline import MemoryLog, Pipeline, Stage, Turn, View, driven, metered, view
from tests.properties.worlds import (
    GAP,
    HOLD,
    HORIZON,
    NOW,
    POLICY,
    STANDARD,
    START,
    STEP,
    WHO,
    Arrival,
    accounts,
    arranged,
    chat,
    chats,
    command,
    delays,
    feeds_in_order,
    hard_feeds,
    plan_changes,
    steady,
    times,
    turns,
)

STRANGERS = (("stranger", "b-1", "web", "u-1"), ("stranger", "b-2", "web", "u-1"))


# What must hold of the ledger at any moment.


@dataclass
class Book:
    """What an auditor keeps of one workspace, reading page after page."""

    entries: list[Entry] = field(default_factory=list)
    conversations: dict[str, ConversationFact] = field(default_factory=dict)
    usage: dict[tuple[str, int], UsageFact] = field(default_factory=dict)
    balance: BalanceFact | None = None

    def read(self, page: Page) -> None:
        self.entries += page.entries
        self.conversations |= {fact.conversation_id: fact for fact in page.conversations}
        self.usage |= {(fact.bot_id, fact.day): fact for fact in page.usage}
        self.balance = page.balance

    def audit(self) -> None:
        """Every law of conservation."""
        assert [entry.seq for entry in self.entries] == list(range(1, len(self.entries) + 1))
        assert len({entry.entry_id for entry in self.entries}) == len(self.entries)
        self._audit_balance()
        self._audit_reversals()
        self._audit_conversations()
        self._audit_usage()

    def _audit_balance(self) -> None:
        """The sum of the ledger is the balance; what lapsed is what expiry took and no late unit took back."""
        free = sum(entry.amount_micros for entry in self.entries if entry.lot_kind == "free")
        paid = sum(entry.amount_micros for entry in self.entries if entry.lot_kind != "free")
        lapsed = -sum(entry.amount_micros for entry in self.entries if entry.kind.startswith("lapse"))
        assert self.balance == BalanceFact(free_micros=free, paid_micros=paid, lapsed_micros=lapsed)
        lots: Counter[str] = Counter()
        for entry in self.entries:
            lots[entry.lot_id] += entry.amount_micros
            assert lots[entry.lot_id] >= 0 or entry.lot_id == "overdraft"

    def _audit_reversals(self) -> None:
        """A reversal undoes one earlier charge, whole, on its own lot, for its own unit, once."""
        charges: dict[str, Entry] = {}
        for entry in self.entries:
            if entry.kind == "charge":
                assert entry.amount_micros < 0
                charges[entry.entry_id] = entry
            elif entry.kind == "reversal":
                undone = charges.pop(entry.reverses)
                assert undone.amount_micros == -entry.amount_micros
                assert (undone.lot_id, undone.lot_kind) == (entry.lot_id, entry.lot_kind)
                assert (undone.unit_id, undone.conversation_id) == (entry.unit_id, entry.conversation_id)
            elif entry.kind == "lapse_reversal":
                (lapse,) = [each for each in self.entries if each.entry_id == entry.reverses]
                assert (lapse.kind, lapse.lot_id) == ("lapse", entry.lot_id)
                assert lapse.seq < entry.seq

    def _audit_conversations(self) -> None:
        """What a conversation was charged is minus its charges and reversals, by kind of credit."""
        charged: Counter[tuple[str, bool]] = Counter()
        for entry in self.entries:
            if entry.kind in ("charge", "reversal"):
                charged[entry.conversation_id, entry.lot_kind == "free"] -= entry.amount_micros
        for each, fact in self.conversations.items():
            assert (fact.charged_free_micros, fact.charged_paid_micros) == (charged[each, True], charged[each, False])
            assert fact.billable or not (fact.charged_free_micros or fact.charged_paid_micros)
        assert {conversation_id for conversation_id, _ in charged} <= set(self.conversations)

    def _audit_usage(self) -> None:
        """A bot's day is the sum of the conversations that began in it."""
        sums: defaultdict[tuple[str, int], list[int]] = defaultdict(lambda: [0] * 5)
        for fact in self.conversations.values():
            if fact.billable:
                row = sums[fact.bot_id, day_of(fact.first_ms)]
                parts = (1, fact.sessions, fact.requests, fact.charged_free_micros, fact.charged_paid_micros)
                row[:] = [known + part for known, part in zip(row, parts, strict=True)]
        for key, usage in self.usage.items():
            found = [usage.conversations, usage.sessions, usage.requests]
            assert [*found, usage.charged_free_micros, usage.charged_paid_micros] == sums.pop(key, [0] * 5)
        assert not sums


def audit(found: View) -> None:
    """Audit the final view of a feed, workspace by workspace."""
    for workspace_id, balance in found.balances.items():
        Book(
            found.entries.get(workspace_id, []),
            {each: fact for (ws, each), fact in found.conversations.items() if ws == workspace_id},
            {(bot, day): fact for (ws, bot, day), fact in found.usage.items() if ws == workspace_id},
            balance,
        ).audit()


@given(hard_feeds, turns)
def test_money_is_conserved_through_crashes(lines: list[bytes], taken: list[Turn]) -> None:
    """DOMAIN, Prices and Debit order 6: sum of the ledger = balances, charges of conversations = their entries, days =
    their conversations, seq without a gap, every reversal undoes one charge on its lot: after any faults."""
    audit(metered(lines, NOW, taken, POLICY))


@given(hard_feeds, steady)
def test_money_is_conserved_at_every_page(lines: list[bytes], taken: list[Turn]) -> None:
    """The same laws hold at each moment that the ledger shows, not only at the end; and no lot holds what no entry gave
    it."""
    for inputs in inputs_of(driven(lines, NOW, taken, POLICY)):
        wallets, books = Wallets(POLICY), defaultdict[str, Book](Book)
        for version, given_input in enumerate(inputs):
            wallets.step(given_input)
            for page in wallets.take_pages(0, version):
                books[page.workspace_id].read(page)
                books[page.workspace_id].audit()
        for workspace_id, book in books.items():
            assert_lots_hold_their_entries(wallets, workspace_id, book.entries)
            assert_no_more_is_given_back_than_lapsed(book.entries)


def assert_no_more_is_given_back_than_lapsed(entries: list[Entry]) -> None:
    """A lapse is undone by at most what it took, by entries that name it."""
    left = {entry.entry_id: -entry.amount_micros for entry in entries if entry.kind == "lapse"}
    for entry in entries:
        if entry.kind == "lapse_reversal":
            left[entry.reverses] -= entry.amount_micros
            assert left[entry.reverses] >= 0


def assert_lots_hold_their_entries(wallets: Wallets, workspace_id: str, entries: list[Entry]) -> None:
    """Of every lot, what remains is the sum of its entries, and what lapsed that of its lapses."""
    remaining, lapsed = Counter[str](), Counter[str]()
    for entry in entries:
        remaining[entry.lot_id] += entry.amount_micros
        if entry.kind.startswith("lapse"):
            lapsed[entry.lot_id] -= entry.amount_micros
    lots = wallets.books[workspace_id].wallet.lots.by_id
    assert {each: lot.remaining_micros for each, lot in lots.items()} == {each: remaining[each] for each in lots}
    held = {each: sum(lapse.amount_micros for lapse in lot.lapses) for each, lot in lots.items()}
    assert held == {each: lapsed[each] for each in lots}
    assert set(remaining) <= set(lots)


def inputs_of(log: MemoryLog) -> list[list[WalletInput]]:
    """What each partition of wallet-inputs holds in the end."""
    return [
        [decode_wallet_input(record.value) for record in log.topics[WALLET_INPUTS.name, partition]]
        for partition in range(log.number)
    ]


# Against the oracle.


def totals(found: View) -> dict[str, int]:
    """What each workspace was charged in all."""
    charged: Counter[str] = Counter()
    for (workspace_id, _, _), fact in found.usage.items():
        charged[workspace_id] += fact.charged_free_micros + fact.charged_paid_micros
    return {workspace_id: total for workspace_id, total in charged.items() if total}


def oracle_totals(result: Result) -> dict[str, int]:
    rows = {name: row.charged_free + row.charged_paid for name, row in result.by_workspace().items()}
    return {name: total for name, total in rows.items() if total}


def balances(found: View) -> dict[str, tuple[int, int, int]]:
    return {name: (each.free_micros, each.paid_micros, each.lapsed_micros) for name, each in found.balances.items()}


def oracle_balances(result: Result) -> dict[str, tuple[int, int, int]]:
    return {name: (each.free, each.paid, each.lapsed) for name, each in result.balances.items()}


@given(hard_feeds, turns)
def test_the_total_charge_does_not_depend_on_order_and_faults(lines: list[bytes], taken: list[Turn]) -> None:
    """Metering 5: whatever lots paid, each workspace is charged what one pass over the sorted feed charges."""
    assert totals(metered(lines, NOW, taken, POLICY)) == oracle_totals(meter(lines, NOW, horizon_ms=HORIZON))


@given(feeds_in_order, turns)
def test_balances_of_a_sorted_feed_are_the_oracles(lines: list[bytes], taken: list[Turn]) -> None:
    """With grants far from every event, what is left of free and paid credit is what the oracle says."""
    result = meter(lines, NOW, horizon_ms=HORIZON)
    found = balances(metered(lines, NOW, taken, POLICY))
    assert {name: found[name] for name in result.balances} == oracle_balances(result)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from((1, 2, 5, 10_000)), st.integers(1, 3))
def test_balances_of_generated_feeds_are_the_oracles(seed: int, records: int, partitions: int) -> None:
    """Large feeds by time, all actors and commands, ids made to be confused: each column of each balance."""
    lines = generate(seed, 150, start_ms=START)
    taken = [Turn("sessionize", partition, records, feed=3) for _ in range(60) for partition in range(partitions)]
    result = meter(lines, NOW)
    found = balances(metered(lines, NOW, taken, Policy(), partitions))
    assert {name: found[name] for name in result.balances} == oracle_balances(result)


@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_grants_that_expire_inside_a_feed_pay_what_the_oracle_says(seed: int) -> None:
    """Debit order 5: on one partition, fed and metered event by event, also with grants that begin and end anywhere."""
    lines = generate(seed, 120, start_ms=START, far_grants=False)
    result = meter(lines, NOW)
    ends = [to_ms(end) for line in lines if (end := json.loads(line)["data"].get("expires_at"))]
    assume(not any(result.end < end <= result.end + GAP + 1 for end in ends))  # See the test of the feed's end below.
    taken = [Turn(stage, 0, 1, checkpoint=True, feed=stage == "sessionize") for _ in lines for stage in STAGES]
    found = balances(metered(lines, NOW, taken, Policy(), partitions=1))
    assert {name: found[name] for name in result.balances} == oracle_balances(result)


STAGES: tuple[Stage, ...] = ("sessionize", "charge")


# Repeats and commands, on one partition of wallet-inputs.


def settled(inputs: Iterable[WalletInput], policy: Policy = POLICY) -> dict[str, object]:
    """All that the wallets of a log know in the end, and what they entered."""
    wallets = Wallets(policy)
    entries: defaultdict[str, list[Entry]] = defaultdict(list)
    for version, each in enumerate(inputs):
        wallets.step(each)
        for page in wallets.take_pages(0, version):
            entries[page.workspace_id] += page.entries
    known = {
        name: (msgspec.to_builtins(book.wallet), dict(book.accounts), dict(book.usage), entries[name])
        for name, book in wallets.books.items()
    }
    return {**known, "sources": wallets.sources}


@given(hard_feeds, st.integers(1, 30), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=30))
def test_repeats_of_whatever_was_metered_change_nothing(
    lines: list[bytes], every: int, repeats: list[tuple[int, int]]
) -> None:
    """Whoever was superseded may say again what it said: below a safe point, above it, older after newer. Wallets,
    conversations, days and entries stay the same. So with commands, whose ids are known for ever."""
    taken = [Turn("sessionize", number % 2, 1, number % every == 0, feed=1) for number in range(2 * len(lines))]
    for inputs in inputs_of(driven(lines, NOW, taken, POLICY)):
        assert settled(with_repeats(inputs, repeats)) == settled(inputs)


def with_repeats(inputs: Sequence[WalletInput], repeats: Iterable[tuple[int, int]]) -> list[WalletInput]:
    """The inputs, some once more at any later place."""
    again: defaultdict[int, list[WalletInput]] = defaultdict(list)
    for number, distance in repeats:
        if inputs:
            number %= len(inputs)
            again[number + distance % (len(inputs) - number)].append(inputs[number])
    return [text for number, own in enumerate(inputs) for text in (own, *again[number])]


@given(hard_feeds, turns)
def test_a_wallet_that_restarts_comes_to_the_same(lines: list[bytes], taken: list[Turn]) -> None:
    """A wallet is a fold over one log: wherever its worker crashes, whoever writes again after it, each entry and each
    fact is the one of a run without faults."""
    spoken = [replace(each, cut=None, wake=False) for each in taken if each.stage == "sessionize"]
    charged = [replace(each, feed=0) for each in taken if each.stage == "charge"]
    faulty = [turn for pair in zip_longest(spoken, charged) for turn in pair if turn is not None]
    assert metered(lines, NOW, faulty, POLICY) == metered(lines, NOW, spoken, POLICY)


# A plan that comes to light late; a workspace that does.


@given(hard_feeds, turns)
def test_nothing_is_kept_of_what_is_settled(lines: list[bytes], taken: list[Turn]) -> None:
    """State older than the horizon is purged from the checkpoints too: conversations, their accounts and days go, with
    all ids seen; wallets stay."""
    pipeline = Pipeline(lines, NOW, POLICY)
    pipeline.run(taken)
    assert any(key for key in pipeline.state("charge"))
    for days in (3, 6, 9):
        pipeline.tick(START + days * DAY_MS)
    assert pipeline.state("sessionize") == {}
    assert {msgspec.msgpack.decode(key)[0] for key in pipeline.state("charge")} <= {"wallet"}


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
    wallets.take_pages(0, 0)
    created = command("workspace.created", START, "late", "stranger", plan="enterprise", session_price_micros=1)
    wallets.step(decode_wallet_input(created))
    (page,) = wallets.take_pages(0, 1)
    firsts = {fact.conversation_id: fact.first_ms for fact in page.conversations}
    charged = [entry for entry in page.entries if entry.kind == "charge"]
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
    for inputs in inputs_of(driven(lines, NOW, taken, POLICY)):
        wallets = Wallets(POLICY)
        for each in inputs:
            wallets.step(each)
        book = wallets.books.get("stranger")
        firsts = [_begins(each) for each in inputs if _is_strangers(each)]
        if book is None:
            assert not firsts
            continue
        lot = book.wallet.lots.by_id["initial"]
        assert lot.assigned_ms == min(firsts)
        assert lot.expires_ms == lot.assigned_ms + POLICY.grant_life_ms


def _is_strangers(each: WalletInput) -> bool:
    return isinstance(each, ConversationMetered | OccurrenceMetered) and each.workspace_id == "stranger"


def _begins(each: WalletInput) -> int:
    assert isinstance(each, ConversationMetered | OccurrenceMetered)
    return each.first_ms if isinstance(each, ConversationMetered) else each.at_ms


# What went wrong once, as small as it can be told.


def test_a_workspace_created_late_is_billed_by_its_own_plan() -> None:
    """DOMAIN, Prices: the plan in force by the command's own time bills; having been provisioned before it came leaves
    nothing behind."""
    created = command("workspace.created", START, "late", "stranger", plan="enterprise", session_price_micros=70_000)
    spoken = Arrival(START + STEP, chat(START + STEP, "e", STRANGERS[0]))
    lines = arranged([spoken, Arrival(START + GAP, created)])
    taken = [Turn(stage, 0, 99, feed=stage == "sessionize") for _ in lines for stage in STAGES]
    assert totals(metered(lines, NOW, taken, partitions=1)) == {"stranger": 70_000}


def test_a_plan_that_was_changed_before_the_first_event_bills_a_provisioned_workspace() -> None:
    """The same: what provisioning assumes is older than whatever a command says."""
    changed = command("plan.changed", START, "p", "stranger", plan="enterprise", session_price_micros=70_000)
    spoken = Arrival(START + STEP, chat(START + STEP, "e", STRANGERS[0]))
    assert totals(metered(arranged([Arrival(START, changed), spoken]), NOW)) == {"stranger": 70_000}


def test_a_grant_that_is_credited_again_after_a_restart_still_lapses() -> None:
    """A lot that was used up at a restart, and got credit back by a late bridge, ends with its term like any other."""
    ends = START + 2 * HOUR_MS
    lines = [
        command("workspace.created", START - 1, "c", STANDARD, plan="standard", free_grant_micros=0),
        command("grant.assigned", START, "g", STANDARD, grant_id="g", amount_micros=400_000, expires_at=stamp(ends)),
        *(chat(START + at, f"e-{at}", WHO[0]) for at in (0, 2 * GAP, GAP)),
        chat(ends, "last", WHO[0], actor="agent"),
    ]
    first = [Turn(stage, 0, 9, checkpoint=True, feed=2 * (stage == "sessionize")) for stage in STAGES]
    crash = [replace(each, cut=0, feed=0) for each in first]
    plain, restarted = (metered(lines, NOW, taken, POLICY, partitions=1) for taken in (first, first + crash))
    assert plain.balances[STANDARD] == BalanceFact(free_micros=0, paid_micros=0, lapsed_micros=200_000)
    assert restarted == plain


def test_a_crash_after_the_last_mark_does_not_keep_the_end_from_the_wallets() -> None:
    """What may only be said after a checkpoint is said again by whoever goes on from it: a restart at the end of a feed
    shows the same lapses, whichever effect it came after."""
    given_free = {"grant_id": "g", "amount_micros": 400_000, "expires_at": stamp(START + GAP)}
    created = command("workspace.created", START, "c", STANDARD, plan="standard", free_grant_micros=0)
    lines = [created, command("grant.assigned", START, "g", STANDARD, **given_free), chat(START, "e", WHO[0])]
    lines.append(chat(START + GAP, "end", WHO[0], actor="agent"))
    plain = metered(lines, NOW, (), POLICY, partitions=1)
    assert plain.balances[STANDARD].lapsed_micros == 200_000
    for cut in range(12):
        pipeline = Pipeline(lines, NOW, POLICY, partitions=1)
        pipeline.feed(len(lines))
        pipeline.close()
        pipeline.take(Turn("sessionize", 0, 99, checkpoint=True, cut=cut))
        pipeline.run()
        assert view(pipeline.log) == plain


@pytest.mark.parametrize("horizon_ms", [STEP, GAP - 1, GAP, GAP + 1])
def test_a_short_horizon_does_not_charge_twice(horizon_ms: int) -> None:
    """A conversation that goes on is remembered by its wallet, however short the horizon is set."""
    lines = [
        chat(START, "e-1", WHO[0]),
        chat(START + 2 * STEP, "e-2", WHO[0]),
        chat(START + 2 * STEP + GAP, "e-3", WHO[1]),
        chat(START + 2 * GAP + STEP, "e-4", WHO[1]),
    ]
    step = [Turn(stage, partition, 1, True, feed=1) for stage in STAGES for partition in (0, 1)]
    found = metered([*accounts(), *lines], NOW, step * 12, Policy(horizon_ms=horizon_ms))
    assert totals(found) == oracle_totals(meter([*accounts(), *lines], NOW, horizon_ms=horizon_ms))


def test_nothing_lapses_that_is_good_at_the_end_of_the_feed() -> None:
    """A finite feed moves event time to its end: a grant that ends a minute later still stands."""
    given_free = {"grant_id": "g", "amount_micros": 400_000, "expires_at": stamp(START + STEP)}
    lines = [command("grant.assigned", START, "g", "other", **given_free), chat(START, "e", WHO[0])]
    assert metered(lines, NOW, (), HOLD).balances["other"] == BalanceFact(
        free_micros=400_000, paid_micros=0, lapsed_micros=0
    )


def test_a_superseded_sessionizer_that_was_ahead_does_not_have_conversations_charged_twice() -> None:
    """At which offset a conversation closes follows from the log: its successor, in other batches, says the same."""
    spoken = [chat(START, "e-1", WHO[3]), chat(START, "e-1", WHO[3])]
    spoken += [chat(START + HORIZON + 2 * GAP, "e-2", WHO[3])] * 2
    for partition in (0, 1):
        zombie = Turn("sessionize", partition, 3, checkpoint=True, cut=0, zombie=True, feed=99)
        taken = [zombie, Turn("sessionize", partition, 1), Turn("sessionize", 1 - partition, 1, wake=True)]
        found = metered([*accounts(), *spoken], NOW, taken, POLICY)
        assert totals(found) == {"enterprise": 2 * 333_333}
