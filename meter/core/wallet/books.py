"""The books of one partition of wallets, with what a change of any of them has to note: timers, days, updates."""

from meter.core.policy import Policy
from meter.core.wallet.billed_conversations import BilledConversation
from meter.core.wallet.book import Book
from meter.core.wallet.daily_usage import Usage, UsageKey
from meter.core.wallet.source import Source
from meter.core.wallet.timers import Timers
from meter.core.wallet.wallet import Wallet
from schemas.instants import day_of
from schemas.metered import RebillSlice


class Books:
    """All books by workspace id. `book` must be called before a book is changed."""

    def __init__(self, policy: Policy, source: Source) -> None:
        self.policy = policy
        self.source = source
        self.by_id: dict[str, Book] = {}
        self.touched: dict[str, Book] = {}
        """Books that changed since the last checkpoint, whose writer replaces the dict."""
        self.open_updates: dict[str, Book] = {}
        """Books that may have changed since the last ledger updates were drained."""
        self.timers = Timers(policy, self.by_id)
        self.due_slices: list[RebillSlice] = []
        """The inputs that the partition has to be given next, so that rebilling goes on."""
        self._beginning: list[Book] = []
        self.arrived_ms = 0
        """When the input that is being processed arrived at Kafka, in milliseconds since 1970."""

    @property
    def clock_ms(self) -> int:
        """The workspaces' clock: the watermark of the source. It decides when a lapse shows, never which lot pays."""
        return self.source.watermark_ms

    def adopt(self, policy: Policy) -> None:
        """Put a policy in force, for all that is charged and forgotten from now on."""
        self.policy = self.timers.policy = policy

    def restore(self, books: dict[str, Book]) -> None:
        """Load the books of a checkpoint, and derive the timers from them."""
        self.by_id.update(books)
        for book in books.values():
            for lot in book.wallet.lots.by_id.values():
                self.timers.watch_lot(book, lot)
            for conversation in book.conversations.values():
                self.timers.watch_conversation(book, conversation)
            for key in book.usage:
                self.timers.watch_usage(book, key)

    def book(self, workspace_id: str) -> Book:
        """The workspace's book, which the caller is about to change."""
        book = self.by_id.get(workspace_id)
        if book is None:
            book = self.by_id[workspace_id] = Book(Wallet(workspace_id))
        book.booked_ms = self.arrived_ms
        self.touched[workspace_id] = self.open_updates[workspace_id] = book
        if book.wallet.since < 0:
            self._beginning.append(book)
        return book

    def note_beginnings(self, version: int) -> None:
        """Note the workspaces that the input at this version was the first to change. Called after each input."""
        while self._beginning:
            book = self._beginning.pop()
            book.wallet.since = version if book.changed else -1

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
