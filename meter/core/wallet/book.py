"""One workspace's book: its wallet, its conversations, its usage, and the next ledger update."""

from meter.core.wallet.answers import NOWHERE, Answers, Unanswered
from meter.core.wallet.billed_conversations import BilledConversation
from meter.core.wallet.daily_usage import Usage, UsageKey
from meter.core.wallet.lots import ASSUMED_GRANT, Lot, Spendable
from meter.core.wallet.plan_terms import BEGINNING_MS, Term
from meter.core.wallet.posting import Posting
from meter.core.wallet.scope_watch import ScopeWatch
from meter.core.wallet.touched import Touched
from meter.core.wallet.waiting import Waiting
from meter.core.wallet.wallet import Bot, Wallet
from schemas.instants import day_of
from schemas.ledger import Entry, EntryKind, LedgerUpdate
from schemas.metered import Metered


class Book:
    """A wallet with its conversations and usage, and the changes since the last update and the last checkpoint.

    Its methods note what must go on the next update and into the next checkpoint. Change usage totals only after
    `usage_of`, and call `touch_conversation` for a changed conversation.
    """

    __slots__ = (
        "_spendable",
        "_touched",
        "answers",
        "booked_ms",
        "bounds",
        "changed",
        "conversations",
        "entries",
        "is_used_up",
        "new_lots",
        "noted",
        "produced_ms",
        "seen_from_ms",
        "unanswered",
        "unpublished_conversations",
        "unpublished_usage",
        "usage",
        "waiting",
        "wallet",
        "watch",
    )

    def __init__(self, wallet: Wallet) -> None:
        self.wallet = wallet
        self.conversations: dict[str, BilledConversation] = {}
        self.usage: dict[UsageKey, Usage] = {}
        self.entries: list[Entry] = []
        self.new_lots: list[Lot] = []
        # These hold objects, because one that is forgotten before the update is drained still has to go on the update.
        self.unpublished_conversations: dict[str, BilledConversation] = {}
        self.unpublished_usage: dict[UsageKey, Usage] = {}
        self.changed = False
        self.is_used_up = False
        """Whether the last ledger update left no credit. Not of a workspace that has not had any update."""
        self.produced_ms = 0
        self.booked_ms = 0
        """When the input that is being processed arrived at Kafka, in milliseconds since 1970."""
        self._touched: Touched | None = None
        self.waiting: Waiting | None = None
        """The conversations that wait to be charged again. Derived from the state when the next slice is due."""
        self.seen_from_ms = 2**62
        """The earliest event time that `Wallets` has compared with the initial grant of a provisioned workspace."""
        self._spendable: Spendable | None = None
        self.answers: Answers | None = None
        """The answers about its bots, as records state them. They stay the same while the balances are in `bounds`."""
        self.bounds = NOWHERE
        self.unanswered: Unanswered | None = None
        self.noted: list[Book] = []  # The books of its partition that have `unanswered`.
        self.watch: ScopeWatch | None = None
        """The balances of its scopes, for auto-reload. None of a workspace that has no scope."""

    @property
    def spendable(self) -> Spendable:
        """The lots that have credit left, in debit order. Built when first read after `reorder_lots`."""
        if self._spendable is None:
            self._spendable = Spendable(self.wallet.lots.by_id.values())
        return self._spendable

    def reorder_lots(self) -> None:
        """Drop the debit order. Call it when a lot's term has moved, or an exhausted lot has credit again."""
        self._spendable = None

    def post(self, lot: Lot, kind: EntryKind, amount_micros: int, about: Posting, reverses: str = "") -> Entry:
        """Change a lot and its balance by `amount_micros` (signed), and add the entry.

        Every movement of credit must go through this method. The entry's id is `WORKSPACE#SEQ`. `reverses` is the id of
        the entry that this one undoes, or "".
        """
        wallet = self.wallet
        wallet.seq += 1
        was_spent = amount_micros > 0 and lot.spendable_micros == 0
        lot.remaining_micros += amount_micros
        if was_spent and lot.spendable_micros > 0:
            self.reorder_lots()
        bounds = self.bounds
        if lot.kind == "free":
            wallet.free_micros = balance_micros = wallet.free_micros + amount_micros
            is_within = bounds.free_low <= balance_micros < bounds.free_high
        else:
            wallet.paid_micros = balance_micros = wallet.paid_micros + amount_micros
            is_within = bounds.paid_low <= balance_micros < bounds.paid_high
            if self.watch is not None:
                self.watch.add(lot.bot_id, amount_micros)
        total_micros = wallet.free_micros + wallet.paid_micros
        if not (is_within and bounds.total_low <= total_micros < bounds.total_high) or lot.kind == "designated":
            self.changes.note_movement(wallet, lot, amount_micros)
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
            booked_ms=self.booked_ms,
            day=about.day,
            reverses=reverses,
        )
        self.entries.append(entry)
        self.touched.lots.add(lot.lot_id)
        self.changed = True
        return entry

    @property
    def changes(self) -> Unanswered:
        """The changes for which the bots have to be answered, once the input is processed."""
        if self.unanswered is None:
            self.unanswered = Unanswered()
            self.noted.append(self)
        return self.unanswered

    def meet(self, bot_id: str) -> None:
        """Note a bot. It has an answer from then on."""
        self.wallet.bots[bot_id] = Bot()
        self.touched.bots.add(bot_id)
        self.changes.bots.add(bot_id)

    def touch_conversation(self, conversation: BilledConversation) -> None:
        """Put a changed conversation on the next update and into the next checkpoint."""
        self.unpublished_conversations[conversation.conversation_id] = conversation
        self.touched.conversations.add(conversation.conversation_id)
        self.changed = True

    def add_term(self, term: Term, bot_id: str = "") -> None:
        """Put a plan in force, for the workspace or for one bot, which need not be known yet."""
        if bot_id and bot_id not in self.wallet.bots:
            self.meet(bot_id)
        (self.wallet.bots[bot_id].plan if bot_id else self.wallet.plan).add(term)
        self.touched.terms.add((bot_id, term.from_ms))
        self.changes.note_term(bot_id, term.from_ms)

    def forget_assumed_plan(self) -> None:
        """Remove the plan that was assumed when the workspace was provisioned."""
        self.wallet.plan.forget_assumed()
        self.touched.terms.add(("", BEGINNING_MS))

    def add_lot(self, lot: Lot) -> None:
        """Add a lot, whose credit is posted next. `Wallets` sets the timers of `new_lots` and empties the list."""
        self.wallet.lots.add(lot)
        self.new_lots.append(lot)
        self.touched.lots.add(lot.lot_id)
        self.reorder_lots()

    def forget_conversation(self, conversation: BilledConversation) -> None:
        """Remove a conversation that no late message can reach.

        Its day stays in memory until it has no remembered conversation left.
        """
        del self.conversations[conversation.conversation_id]
        units, conversation.units = conversation.units, ()
        self.touched.note_units(conversation, units, 0)
        self.touched.conversations.add(conversation.conversation_id)
        if self.wallet.status == "provisioned":
            parts = (part for unit in units for part in unit.parts)
            assumed_micros = sum(part.amount_micros for part in parts if part.lot_id == ASSUMED_GRANT)
            self.wallet.assumed_spent_micros += assumed_micros
        key = UsageKey(conversation.bot_id, day_of(conversation.first_ms))
        self.usage[key].remembered -= 1
        self.touched.usage.add(key)

    def forget_usage(self, key: UsageKey) -> None:
        """Remove a day that no conversation can change any more. Its totals stay in ClickHouse."""
        del self.usage[key]
        if not self.usage and not self.conversations:
            # Nothing of the workspace is live. Containers that were large once keep their size, so they are replaced.
            self.conversations, self.usage, self._spendable = {}, {}, None
        self.touched.usage.add(key)

    @property
    def touched(self) -> Touched:
        """Names of the entries that the next checkpoint has to write."""
        if self._touched is None:
            self._touched = Touched()
        return self._touched

    @property
    def is_touched(self) -> bool:
        """Whether the next checkpoint has to write entries other than the wallet's."""
        return self._touched is not None

    def take_touched(self) -> Touched:
        """Return what was touched since the last call."""
        touched, self._touched = self.touched, None
        return touched

    def add_cause(self, metered: Metered) -> None:
        """Note the Kafka timestamp of a metered update. The oldest goes on the ledger update, for measuring latency."""
        self.produced_ms = min(self.produced_ms or metered.produced_ms, metered.produced_ms)

    def usage_of(self, key: UsageKey) -> Usage:
        """The totals of `key`, which the caller is about to change. They go on the next update and checkpoint."""
        usage = self.usage.get(key)
        if usage is None:
            usage = self.usage[key] = Usage()
        self.unpublished_usage[key] = usage
        self.touched.usage.add(key)
        self.changed = True
        return usage

    def drain_update(self, partition: int, version: int) -> LedgerUpdate | None:
        """Return all changes since the last update as one of `version`, and start the next; None if nothing changed.

        Must not be called twice with one `version` if there are changes between: a reader keeps one update a version.
        """
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
            balance=wallet.balance(),
            totals=wallet.totals(),
            since=wallet.since,
        )
        self.entries, self.unpublished_conversations, self.unpublished_usage = [], {}, {}
        self.changed, self.produced_ms = False, 0
        return update
