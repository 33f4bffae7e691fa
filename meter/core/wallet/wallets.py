"""The wallets of one partition of wallet-inputs: a fold over its log, workspace by workspace.

Inputs are absolute and may repeat. What a wallet has forgotten cannot be charged again, because a safe point came
first: whatever its partition of chat-events caused up to the safe offset is in this log already (docs/adr/0005).
"""

import msgspec

from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.core.wallet.billed_conversations import BilledConversation
from meter.core.wallet.book import Book, Wallet
from meter.core.wallet.charge import lapse, settle
from meter.core.wallet.commands.apply import apply_command
from meter.core.wallet.commands.outcome import Done
from meter.core.wallet.commands.workspace import INITIAL_GRANT, open_wallet
from meter.core.wallet.daily_usage import Usage, UsageKey
from meter.core.wallet.timers import Timers
from schemas.commands import AnyCommand
from schemas.instants import day_of
from schemas.ledger import LedgerUpdate
from schemas.metered import ConversationMetered, Metered, OccurrenceMetered, SafePoint, WalletInput


class Source(msgspec.Struct, array_like=True):
    """What is known of one partition of chat-events. `recent` are the occurrences' offsets above the safe one.

    `newest_offset` is the newest that anything was taken from. `messages` are those of conversations that are closed,
    `occurrences` all, both since the beginning.
    """

    safe_offset: int = -1
    watermark_ms: int = 0
    recent: set[int] = set()
    newest_offset: int = -1
    messages: int = 0
    occurrences: int = 0


class Wallets:
    """The state of one partition."""

    def __init__(self, policy: Policy, sources: dict[int, Source] | None = None) -> None:
        self.policy = policy
        self.sources = sources or {}
        self.books: dict[str, Book] = {}
        self.touched: dict[str, Book] = {}
        """Books that changed since the last checkpoint; whoever writes it clears this."""
        self.open_updates: dict[str, Book] = {}
        self._beginning: list[Book] = []
        self._timers = Timers(policy, self.books)
        self.clock_ms = max((source.watermark_ms for source in self.sources.values()), default=0)
        """Event time: the furthest that any source has come. Decides when a lapse shows, never who pays."""

    def restore(self, books: dict[str, Book]) -> None:
        """Put back what a checkpoint held, and derive the timers from it."""
        self.books.update(books)
        for book in books.values():
            for lot in book.wallet.lots.by_id.values():
                self._timers.watch_lot(book, lot)
            for conversation in book.conversations.values():
                self._timers.watch_conversation(book, conversation)
            for key in book.usage:
                self._timers.watch_usage(book, key)

    def step(self, given: WalletInput, offset: int = 0) -> Rejected | None:
        """Take one input from the log. Returns why a command was refused; all else shows in the updates."""
        refused = self._step(given)
        while self._beginning:
            book = self._beginning.pop()
            book.wallet.since = offset if book.changed else -1
        return refused

    @property
    def workspaces(self) -> int:
        """How many have begun: an update holds, or will hold, something of them."""
        return sum(book.wallet.since >= 0 for book in self.books.values())

    def _step(self, given: WalletInput) -> Rejected | None:
        match given:
            case ConversationMetered():
                self._meter(given)
            case OccurrenceMetered():
                self._occur(given)
            case SafePoint():
                self._pass(given)
            case _:
                return self._command(given)
        return None

    def drain_updates(self, partition: int, version: int) -> list[LedgerUpdate]:
        """The updates of all that changed since they were last taken, as of offset `version` of wallet-inputs."""
        books, self.open_updates = self.open_updates, {}
        updates = (book.drain_update(partition, version) for book in books.values())
        return [update for update in updates if update is not None]

    def counts_up_to(self, point: SafePoint) -> Source | None:
        """What is known of the point's partition as of exactly its offset; asked before the point itself is taken.

        None if the point is a repeat, or if what is newer has been taken already: after a crash the log holds more than
        the point covers. A later point will be the one.
        """
        source = self._source(point.origin_partition)
        is_news = point.origin_offset > source.safe_offset and point.origin_offset >= source.newest_offset
        return source if is_news else None

    def _book(self, workspace_id: str) -> Book:
        """The workspace's book, about to change."""
        book = self.books.get(workspace_id)
        if book is None:
            book = self.books[workspace_id] = Book(Wallet(workspace_id))
        self.touched[workspace_id] = self.open_updates[workspace_id] = book
        if book.wallet.since < 0:
            self._beginning.append(book)
        return book

    def _source(self, partition: int) -> Source:
        return self.sources.setdefault(partition, Source())

    def _is_repeat(self, given: Metered) -> bool:
        source = self.sources.get(given.origin_partition)
        return source is not None and given.origin_offset <= source.safe_offset

    def _meter(self, metered: ConversationMetered) -> None:
        if self._is_repeat(metered):
            return
        book = self._book(metered.workspace_id)
        conversation = book.conversations.get(metered.conversation_id)
        left: UsageKey | None = None
        wallet = book.wallet
        if conversation is None:
            conversation = book.conversations[metered.conversation_id] = BilledConversation.opened_by(metered)
            wallet.conversations += 1
        elif conversation.knows(metered):
            return
        else:
            left = self._uncount(book, conversation)
            self._count_messages(book, conversation, -1)
        conversation.learn(metered)
        self._count_messages(book, conversation, +1)
        if wallet.status != "created":
            self._provision(book, metered.first_ms)
        if wallet.status != "unknown":
            settle(book, conversation, self.policy, self.clock_ms)
        self._count(book, conversation, left)
        book.caused_by(metered)

    def _count_messages(self, book: Book, conversation: BilledConversation, sign: int) -> None:
        source = self._source(conversation.origin_partition)
        if conversation.origin_offset > source.newest_offset:
            source.newest_offset = conversation.origin_offset
        if conversation.state == "closed":
            source.messages += sign * conversation.messages
            book.wallet.messages += sign * conversation.messages

    def _occur(self, given: OccurrenceMetered) -> None:
        source = self._source(given.origin_partition)
        if self._is_repeat(given) or given.origin_offset in source.recent:
            return
        source.recent.add(given.origin_offset)
        source.newest_offset = max(source.newest_offset, given.origin_offset)
        source.occurrences += 1
        book = self._book(given.workspace_id)
        book.wallet.occurrences += 1
        self._provision(book, given.at_ms)
        self._usage(book, given.bot_id, given.at_ms).occur(given.kind)
        book.caused_by(given)

    def _usage(self, book: Book, bot_id: str, at_ms: int) -> Usage:
        key = UsageKey(bot_id, day_of(at_ms))
        if key not in book.usage:
            self._timers.watch_usage(book, key)
        return book.usage_of(key)

    def _uncount(self, book: Book, conversation: BilledConversation) -> UsageKey:
        """Of its day, before the conversation changes; that day."""
        key = UsageKey(conversation.bot_id, day_of(conversation.first_ms))
        book.usage_of(key).count(conversation, -1)
        return key

    def _count(self, book: Book, conversation: BilledConversation, left: UsageKey | None) -> None:
        """Into its day, now that the conversation has changed; `left` is the day that it was taken out of."""
        self._usage(book, conversation.bot_id, conversation.first_ms).count(conversation, +1)
        if left is not None:
            self._watch_if_empty(book, left)
        book.touch_conversation(conversation)
        self._timers.watch_conversation(book, conversation)

    def _watch_if_empty(self, book: Book, key: UsageKey) -> None:
        if not book.usage[key].remembered:
            self._timers.watch_usage(book, key)

    def _provision(self, book: Book, at_ms: int) -> None:
        """A workspace that no command created becomes a Standard one with its first event, in event time.

        Events arrive in any order, so an earlier one moves its beginning back, and with it the term of its free grant.
        """
        if self.policy.unknown_workspace != "provision":
            return
        if book.wallet.status == "unknown":
            book.wallet.status = "provisioned"
            open_wallet(book, "standard", None, at_ms, self.policy, self.clock_ms)
            # What is assumed is older than whatever a command has said.
            book.wallet.plan.assume("standard", self.policy.conversation_micros)
            self._watch_new_lots(book)
        elif at_ms < book.seen_from_ms and book.wallet.status == "provisioned":
            book.seen_from_ms = at_ms
            lot = book.wallet.lots.by_id.get(INITIAL_GRANT)
            if lot is not None and at_ms < lot.assigned_ms:
                lot.assigned_ms, lot.expires_ms = at_ms, at_ms + self.policy.grant_life_ms
                book.reorder_lots()
                self._timers.watch_lot(book, lot)

    def _command(self, command: AnyCommand) -> Rejected | None:
        book = self._book(command.data.workspace_id)
        outcome = apply_command(book, command, self.policy, self.clock_ms)
        self._watch_new_lots(book)
        if isinstance(outcome, Done) and outcome.rebill and book.wallet.status != "unknown":
            self._rebill(book)
        return outcome if isinstance(outcome, Rejected) else None

    def _rebill(self, book: Book) -> None:
        """A plan has come to light: charge every remembered conversation as it would have been, in order of time."""
        for conversation in sorted(book.conversations.values(), key=lambda each: (each.first_ms, each.conversation_id)):
            left = self._uncount(book, conversation)
            settle(book, conversation, self.policy, self.clock_ms)
            self._count(book, conversation, left)

    def _watch_new_lots(self, book: Book) -> None:
        while book.new_lots:
            self._timers.watch_lot(book, book.new_lots.pop())

    def _pass(self, point: SafePoint) -> None:
        """Event time moves on: show lapses, forget what can no longer change."""
        source = self._source(point.origin_partition)
        if point.origin_offset <= source.safe_offset:
            return
        source.safe_offset = point.origin_offset
        source.watermark_ms = max(source.watermark_ms, point.watermark_ms)
        source.recent = {offset for offset in source.recent if offset > point.origin_offset}
        clock_ms = self.clock_ms = max(self.clock_ms, source.watermark_ms)
        for book, lot in self._timers.expired_lots(clock_ms):
            lapse(self._book(book.wallet.workspace_id), lot, clock_ms)
        for book, conversation in self._timers.expired_conversations(point.origin_partition, source.watermark_ms):
            self._book(book.wallet.workspace_id).forget_conversation(conversation)
            self._watch_if_empty(book, UsageKey(conversation.bot_id, day_of(conversation.first_ms)))
        slowest_ms = min(each.watermark_ms for each in self.sources.values())
        for book, key in self._timers.expired_usage(slowest_ms):
            self._book(book.wallet.workspace_id).forget_usage(key)
