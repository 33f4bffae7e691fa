"""The laws of money, as checks on a view, a log or the wallets themselves."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from meter.core.wallet.wallets import Wallets
from schemas.instants import day_of
from schemas.ledger import BalanceFact, ControlTotals, ConversationFact, Entry, LedgerUpdate, UsageFact
from schemas.metered import WalletInput, decode_wallet_input
from schemas.topics import WALLET_INPUTS
from tests.oracle.oracle import Result
from tests.properties.memory_log import MemoryLog
from tests.properties.view import View

# What must hold of the ledger at any moment.


@dataclass
class Book:
    """What an auditor keeps of one workspace, reading update after update."""

    entries: list[Entry] = field(default_factory=list)
    conversations: dict[str, ConversationFact] = field(default_factory=dict)
    usage: dict[tuple[str, int], UsageFact] = field(default_factory=dict)
    balance: BalanceFact | None = None
    totals: ControlTotals | None = None

    def read(self, update: LedgerUpdate) -> None:
        self.entries += update.entries
        self.conversations |= {fact.conversation_id: fact for fact in update.conversations}
        self.usage |= {(fact.bot_id, fact.day): fact for fact in update.usage}
        self.balance, self.totals = update.balance, update.totals

    def audit(self) -> None:
        """Every law of conservation."""
        assert [entry.seq for entry in self.entries] == list(range(1, len(self.entries) + 1))
        assert len({entry.entry_id for entry in self.entries}) == len(self.entries)
        self._audit_balance()
        self._audit_reversals()
        self._audit_conversations()
        self._audit_usage()
        self._audit_totals()

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

    def _audit_totals(self) -> None:
        """The control totals are what the rows come to: entries, conversations, closed messages, occurrences."""
        days = self.usage.values()
        assert self.totals == ControlTotals(
            entries=len(self.entries),
            conversations=len(self.conversations),
            messages=sum(fact.messages for fact in self.conversations.values() if fact.state == "closed"),
            occurrences=sum(
                day.proactive_notifications + day.alert_notifications + day.agent_messages + day.developer_messages
                for day in days
            ),
        )


def audit(found: View) -> None:
    """Audit the final view of a feed, workspace by workspace."""
    for workspace_id, balance in found.balances.items():
        Book(
            found.entries.get(workspace_id, []),
            {each: fact for (ws, each), fact in found.conversations.items() if ws == workspace_id},
            {(bot, day): fact for (ws, bot, day), fact in found.usage.items() if ws == workspace_id},
            balance,
            found.totals[workspace_id],
        ).audit()


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
