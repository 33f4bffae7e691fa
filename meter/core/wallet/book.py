"""One workspace's book: who it is, its lots, its conversations, its usage, and the update being written."""

from typing import Literal

import msgspec

from meter.core.wallet.billed_conversations import BilledConversation
from meter.core.wallet.daily_usage import Usage, UsageKey
from meter.core.wallet.lots import Lot, Lots, Spendable
from meter.core.wallet.plan_terms import Timeline
from schemas.instants import day_of
from schemas.ledger import BalanceFact, ControlTotals, Entry, EntryKind, LedgerUpdate
from schemas.metered import Metered

Status = Literal["unknown", "provisioned", "created"]
"""unknown: nothing created it yet, charges are held; provisioned: its first event did; created: a command did."""


class Bot(msgspec.Struct, array_like=True):
    """A bot as its command named it, with the plan of its own, if it has one."""

    name: str = ""
    owner: str = ""
    plan: Timeline = msgspec.field(default_factory=Timeline)


class Wallet(msgspec.Struct, array_like=True):
    """What a workspace owns and under which plan. The balances are kept beside the lots that they are the sums of."""

    workspace_id: str
    status: Status = "unknown"
    owner: str = ""
    name: str = ""
    seq: int = 0
    plan: Timeline = msgspec.field(default_factory=Timeline)
    bots: dict[str, Bot] = {}
    lots: Lots = msgspec.field(default_factory=Lots)
    commands: dict[str, str] = {}
    """Id of every command taken, with a digest of what it said: a repeat is known however late it comes."""
    free_micros: int = 0
    paid_micros: int = 0
    lapsed_micros: int = 0
    since: int = -1
    """The wallet-inputs offset of the first input that changed anything."""
    conversations: int = 0
    messages: int = 0
    occurrences: int = 0
    """Control totals: see `schemas.ledger.ControlTotals`."""


class Posting(msgspec.Struct, frozen=True, gc=False):
    """What an entry is about: whose unit or command, and when."""

    bot_id: str
    unit_id: str
    conversation_id: str
    occurred_ms: int


class Book:
    """A wallet with its conversations and usage, and what changed in them since the last update and the last checkpoint."""

    def __init__(self, wallet: Wallet) -> None:
        self.wallet = wallet
        self.conversations: dict[str, BilledConversation] = {}
        self.usage: dict[UsageKey, Usage] = {}
        self.entries: list[Entry] = []
        self.new_lots: list[Lot] = []
        # These hold the objects, not their keys: what is forgotten before the update is taken still goes on it.
        self.unpublished_conversations: dict[str, BilledConversation] = {}
        self.unpublished_usage: dict[UsageKey, Usage] = {}
        self.changed = False
        self.produced_ms = 0
        self.touched_conversations: set[str] = set()
        self.touched_usage: set[UsageKey] = set()
        self.seen_from_ms = 2**62
        """The earliest event time that the term of a provisioned workspace's grant has been held against."""
        self._spendable: Spendable | None = None

    @property
    def spendable(self) -> Spendable:
        """The lots that have something left, in debit order."""
        if self._spendable is None:
            self._spendable = Spendable(self.wallet.lots.by_id.values())
        return self._spendable

    def reorder_lots(self) -> None:
        """A term has moved, or a lot has something again that had nothing left."""
        self._spendable = None

    def post(self, lot: Lot, kind: EntryKind, amount_micros: int, about: Posting, reverses: str = "") -> Entry:
        """Move `amount_micros` (signed) on a lot and enter it. The entry's id is its place in the workspace's log."""
        wallet = self.wallet
        wallet.seq += 1
        was_spent = amount_micros > 0 and lot.spendable_micros == 0
        lot.remaining_micros += amount_micros
        if was_spent and lot.spendable_micros > 0:
            self.reorder_lots()
        if lot.kind == "free":
            wallet.free_micros += amount_micros
        else:
            wallet.paid_micros += amount_micros
        entry = Entry(
            entry_id=f"{wallet.workspace_id}#{wallet.seq}",
            seq=wallet.seq,
            bot_id=about.bot_id,
            kind=kind,
            unit_id=about.unit_id,
            conversation_id=about.conversation_id,
            lot_id=lot.lot_id,
            lot_kind=lot.kind,
            amount_micros=amount_micros,
            occurred_ms=about.occurred_ms,
            reverses=reverses,
        )
        self.entries.append(entry)
        self.changed = True
        return entry

    def touch_conversation(self, conversation: BilledConversation) -> None:
        """The conversation goes on the next update and into the next checkpoint."""
        self.unpublished_conversations[conversation.conversation_id] = conversation
        self.touched_conversations.add(conversation.conversation_id)
        self.changed = True

    def add_lot(self, lot: Lot) -> None:
        """A lot joins the others; whoever watches for its expiry finds it in `new_lots`."""
        self.wallet.lots.add(lot)
        self.new_lots.append(lot)

    def forget_conversation(self, conversation: BilledConversation) -> None:
        """No late message can reach the conversation any more. Its day stays until it has no conversation left."""
        del self.conversations[conversation.conversation_id]
        self.touched_conversations.add(conversation.conversation_id)
        key = UsageKey(conversation.bot_id, day_of(conversation.first_ms))
        self.usage[key].remembered -= 1
        self.touched_usage.add(key)

    def forget_usage(self, key: UsageKey) -> None:
        """A day that no conversation can change any more; its totals stand in ClickHouse."""
        del self.usage[key]
        self.touched_usage.add(key)

    def caused_by(self, metered: Metered) -> None:
        """Keep the oldest Kafka timestamp behind the update, for latency."""
        self.produced_ms = min(self.produced_ms or metered.produced_ms, metered.produced_ms)

    def usage_of(self, key: UsageKey) -> Usage:
        """The totals of `key`, about to change."""
        usage = self.usage.get(key)
        if usage is None:
            usage = self.usage[key] = Usage()
        self.unpublished_usage[key] = usage
        self.touched_usage.add(key)
        self.changed = True
        return usage

    def drain_update(self, partition: int, version: int) -> LedgerUpdate | None:
        """What changed since the last update, as facts of `version`; None if nothing did."""
        if not self.changed:
            return None
        wallet = self.wallet
        update = LedgerUpdate(
            workspace_id=wallet.workspace_id,
            partition=partition,
            version=version,
            produced_ms=self.produced_ms,
            entries=self.entries,
            conversations=[conversation.fact() for conversation in self.unpublished_conversations.values()],
            usage=[usage.fact(key) for key, usage in self.unpublished_usage.items()],
            balance=BalanceFact(
                free_micros=wallet.free_micros, paid_micros=wallet.paid_micros, lapsed_micros=wallet.lapsed_micros
            ),
            totals=ControlTotals(
                entries=wallet.seq,
                conversations=wallet.conversations,
                messages=wallet.messages,
                occurrences=wallet.occurrences,
            ),
            since=wallet.since,
        )
        self.entries, self.unpublished_conversations, self.unpublished_usage = [], {}, {}
        self.changed, self.produced_ms = False, 0
        return update
