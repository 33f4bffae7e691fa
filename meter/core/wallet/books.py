"""The books of one partition of wallets, with what a change of any of them has to note: timers, days, updates."""

from collections.abc import Iterable

from meter.core.policy import Policy
from meter.core.wallet.answering import Now, open_answers
from meter.core.wallet.billed_conversations import BilledConversation
from meter.core.wallet.book import Book
from meter.core.wallet.daily_usage import Usage, UsageKey
from meter.core.wallet.held import Held
from meter.core.wallet.lot_timers import LotTimers
from meter.core.wallet.packed_books import MayBePacked, PackedBooks, is_quiet
from meter.core.wallet.scope_watch import DueScope, ScopeWatch
from meter.core.wallet.source import Source
from meter.core.wallet.timers import Timers
from meter.core.wallet.wallet import Wallet
from schemas.instants import day_of
from schemas.metered import HeldSlice, RebillSlice
from schemas.payments import PaymentRequest


class Books:
    """All books by workspace id, those of quiet workspaces packed. `book` must be called before a book is changed.

    `may_be_packed` says of a book that a checkpoint has written whether it is packed until the next input of it.
    """

    def __init__(
        self, policy: Policy, partition: int, source: Source, held: Held, may_be_packed: MayBePacked = is_quiet
    ) -> None:
        self.policy = policy
        self.partition = partition
        self.source = source
        self.held = held
        self.released: list[str] | None = None
        """The workspaces that were held and have to be charged, the last one first. Derived when a slice needs it."""
        self.by_id: dict[str, Book] = {}
        """The books that are objects."""
        self.packed = PackedBooks()
        self._may_be_packed = may_be_packed
        self._unpacked: list[Book] = []
        """Books that were packed at the last checkpoint."""
        self.begun = 0
        """The number of workspaces that some input has changed."""
        self.touched: dict[str, Book] = {}
        """Books that changed since the last checkpoint, whose writer replaces the dict."""
        self.open_updates: dict[str, Book] = {}
        """Books that may have changed since the last ledger updates were drained."""
        self.timers = Timers(policy, self._existing, LotTimers(self._read_existing, source.watermark_ms))
        self.due_slices: list[RebillSlice | HeldSlice] = []
        """The inputs that the partition has to be given next, so that rebilling, or charging what was held, goes on."""
        self.due_scopes: list[DueScope] = []
        """The scopes that an auto-reload has to look at after the present input."""
        self.payment_requests: list[PaymentRequest] = []
        """The payments that have to be requested next."""
        self.noted: list[Book] = []
        """Books whose bots have to be answered, because of the present input."""
        self._beginning: list[Book] = []
        self.version = 0
        """That of the input that is being processed: its offset in wallet-inputs, in its generation."""
        self.arrived_ms = 0
        """When the input that is being processed arrived at Kafka, in milliseconds since 1970."""

    def order_held_slice(self) -> None:
        """Order the next slice of what was held."""
        held = self.held
        held.slice, held.is_due, held.after = held.slice + 1, True, ""
        self.due_slices.append(HeldSlice(partition=self.partition, slice=held.slice))

    @property
    def clock_ms(self) -> int:
        """The workspaces' clock: the watermark of the source. It decides when a lapse shows, never which lot pays."""
        return self.source.watermark_ms

    @property
    def now(self) -> Now:
        """All that decides an answer about a bot, beside its book."""
        return Now(self.policy, self.clock_ms, self.version)

    def open_answers(self, book: Book) -> None:
        """Answer the bots as they stand. Called before something else than credit changes that may change an answer."""
        open_answers(book, self.now)

    def adopt(self, policy: Policy) -> None:
        """Put a policy in force, for all that is charged and forgotten from now on."""
        self.policy = self.timers.policy = policy
        self.released = None

    def restore(self, books: Iterable[Book]) -> None:
        """Load the books of a checkpoint, one at a time, and derive the timers from them.

        Those that the next checkpoint has to write in another format are touched already.
        """
        for book in books:
            wallet = book.wallet
            self.begun += wallet.since >= 0
            book.is_used_up = wallet.is_used_up
            if book.is_touched:
                self.touched[wallet.workspace_id] = book
            book.unanswered, book.noted = None, self.noted  # Its records are written.
            self.timers.watch_terms(book, self.clock_ms)
            for lot in wallet.lots.by_id.values():
                self.timers.watch_lot(book, lot)
            for conversation in book.conversations.values():
                self.timers.watch_conversation(book, conversation)
            for key in book.usage:
                self.timers.watch_usage(book, key)
            for bot_id, scope in wallet.purchases.scopes.items():
                self.timers.watch_scope(book, bot_id, scope)
            self._watch(book)
            self.by_id[wallet.workspace_id] = book
            self._pack(book)

    def book(self, workspace_id: str) -> Book:
        """The workspace's book, which the caller is about to change."""
        book = self.by_id.get(workspace_id) or self.find(workspace_id)
        if book is None:
            book = self.by_id[workspace_id] = Book(Wallet(workspace_id))
        book.booked_ms, book.noted = self.arrived_ms, self.noted
        self.touched[workspace_id] = self.open_updates[workspace_id] = book
        if book.wallet.since < 0:
            self._beginning.append(book)
        return book

    def find(self, workspace_id: str) -> Book | None:
        """The workspace's book as an object; None if it has none."""
        book = self.by_id.get(workspace_id)
        if book is None:
            book = self.packed.remove(workspace_id)
            if book is not None:
                book.is_used_up = book.wallet.is_used_up
                self._watch(book)
                self.by_id[workspace_id] = book
                self._unpacked.append(book)
        return book

    def _watch(self, book: Book) -> None:
        if book.wallet.purchases.scopes:
            book.watch = ScopeWatch(book, self.due_scopes)

    def watch_new_scopes(self, book: Book) -> None:
        """Watch the scopes of a book, and look at them, if a command has just added the first ones."""
        if book.watch is None and book.wallet.purchases.scopes:
            self._watch(book)
            self.due_scopes += ((book, bot_id) for bot_id in book.wallet.purchases.scopes)

    def read(self, workspace_id: str) -> Book | None:
        """The workspace's book, which must not be changed and not be kept; None if it has none."""
        return self.by_id.get(workspace_id) or self.packed.read(workspace_id)

    def _existing(self, workspace_id: str) -> Book:
        book = self.find(workspace_id)
        assert book is not None, "a book is never removed"
        return book

    def _read_existing(self, workspace_id: str) -> Book:
        book = self.read(workspace_id)
        assert book is not None, "a book is never removed"
        return book

    def pack_quiet(self, written: Iterable[Book]) -> None:
        """Pack the quiet ones of the books that a checkpoint has just written, and of those unpacked before it.

        No other book can have become quiet: to forget something is a change.
        """
        assert not self.touched
        assert not self.open_updates
        unpacked, self._unpacked = self._unpacked, []
        for book in (*unpacked, *written):
            if self.by_id.get(book.wallet.workspace_id) is book:
                self._pack(book)

    def _pack(self, book: Book) -> None:
        if self._may_be_packed(book):
            self.packed.put(book)
            del self.by_id[book.wallet.workspace_id]

    def note_beginnings(self) -> None:
        """Note the workspaces that the present input was the first to change. Called after each input."""
        while self._beginning:
            book = self._beginning.pop()
            self.begun += book.changed and book.wallet.since < 0
            book.wallet.since = self.version if book.changed else -1

    def begin_plans(self, book: Book) -> None:
        """Put plans that a command added in force for the bots' answers: now, or when their time comes.

        Called after each command that may add one.
        """
        for bot_id, from_ms in book.changes.terms:
            if from_ms > self.arrived_ms:
                self.timers.watch_term(book, bot_id, from_ms)
                continue
            owner = book.wallet.bots[bot_id] if bot_id else book.wallet
            owner.plan_begun_ms = max(owner.plan_begun_ms, from_ms)
            if bot_id:
                book.touched.bots.add(bot_id)

    def usage(self, book: Book, bot_id: str, at_ms: int) -> Usage:
        """The totals of a bot's day, which the caller is about to change."""
        key = UsageKey(bot_id, day_of(at_ms))
        if key not in book.usage:
            self.timers.watch_usage(book, key)
        return book.usage_of(key)

    def subtract_usage(self, book: Book, conversation: BilledConversation) -> UsageKey:
        """Subtract a conversation from its day, before it changes. Returns that day."""
        key = UsageKey(conversation.bot_id, day_of(conversation.first_ms))
        book.usage_of(key).count(conversation, -1)
        return key

    def add_usage(self, book: Book, conversation: BilledConversation, previous_day: UsageKey | None) -> None:
        """Add a conversation to its day, after it changed. `previous_day` is the day that it was subtracted from."""
        self.usage(book, conversation.bot_id, conversation.first_ms).count(conversation, +1)
        if previous_day is not None:
            self.watch_if_empty(book, previous_day)
        book.touch_conversation(conversation)
        self.timers.watch_conversation(book, conversation)

    def watch_if_empty(self, book: Book, key: UsageKey) -> None:
        """Set the timer of a day that may have lost its last remembered conversation."""
        if not book.usage[key].remembered:
            self.timers.watch_usage(book, key)

    def watch_new_lots(self, book: Book) -> None:
        """Set the timers of the lots that were added. Called after each change that may add a lot."""
        while book.new_lots:
            self.timers.watch_lot(book, book.new_lots.pop())
