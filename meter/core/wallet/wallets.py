"""The fold that charges one partition of wallet-inputs: its inputs in, ledger updates out.

Metered updates are absolute and may repeat. A forgotten conversation cannot be charged again: it is forgotten only
after a safe point, and later updates with an origin up to that point's offset are repeats (docs/adr/0005).
"""

from meter.core.policy import Policy, PolicyInForce
from meter.core.rejection import Rejected
from meter.core.wallet.billed_conversations import BilledConversation
from meter.core.wallet.book import Book, Wallet
from meter.core.wallet.charge import lapse, settle
from meter.core.wallet.commands.apply import apply_command
from meter.core.wallet.commands.outcome import Done
from meter.core.wallet.commands.workspace import INITIAL_GRANT, open_wallet
from meter.core.wallet.daily_usage import Usage, UsageKey
from meter.core.wallet.source import Source
from meter.core.wallet.timers import Timers
from schemas.commands import AnyCommand
from schemas.instants import day_of
from schemas.ledger import LedgerUpdate
from schemas.metered import ConversationMetered, Metered, OccurrenceMetered, SafePoint, WalletInput
from schemas.policy import FIRST_VERSION, PolicyRecord


class Wallets:
    """The state of one partition of wallet-inputs. Call `restore` first, if at all, then `step` in order of offset."""

    def __init__(self, policy: Policy, sources: dict[int, Source] | None = None, version: int = FIRST_VERSION) -> None:
        self.policy, self.in_force = policy, PolicyInForce(policy=policy, version=version)
        self.sources = sources or {}
        self.books: dict[str, Book] = {}
        self.touched: dict[str, Book] = {}
        """Books that changed since the last checkpoint, whose writer replaces the dict."""
        self.open_updates: dict[str, Book] = {}
        """Books that may have changed since the last `drain_updates`."""
        self._beginning: list[Book] = []
        self._timers = Timers(policy, self.books)
        self.clock_ms = max((source.watermark_ms for source in self.sources.values()), default=0)
        """The highest watermark of any source. It decides when a lapse shows, never which lot pays."""

    def restore(self, books: dict[str, Book]) -> None:
        """Load the books of a checkpoint, and derive the timers from them."""
        self.books.update(books)
        for book in books.values():
            for lot in book.wallet.lots.by_id.values():
                self._timers.watch_lot(book, lot)
            for conversation in book.conversations.values():
                self._timers.watch_conversation(book, conversation)
            for key in book.usage:
                self._timers.watch_usage(book, key)

    def step(self, wallet_input: WalletInput, offset: int = 0) -> Rejected | None:
        """Process the input at `offset`. Returns the refusal of a command, else None; changes show in the updates."""
        refused = self._step(wallet_input)
        while self._beginning:
            book = self._beginning.pop()
            book.wallet.since = offset if book.changed else -1
        return refused

    @property
    def workspaces(self) -> int:
        """The number of workspaces that have begun: some input has changed them."""
        return sum(book.wallet.since >= 0 for book in self.books.values())

    def _step(self, wallet_input: WalletInput) -> Rejected | None:
        match wallet_input:
            case ConversationMetered():
                self._apply_conversation(wallet_input)
            case OccurrenceMetered():
                self._apply_occurrence(wallet_input)
            case SafePoint():
                self._apply_safe_point(wallet_input)
            case PolicyRecord():
                self._apply_policy(wallet_input)
            case _:
                return self._apply_command(wallet_input)
        return None

    def drain_updates(self, partition: int, version: int) -> list[LedgerUpdate]:
        """An update of each workspace that changed since the last call, as of offset `version` of wallet-inputs."""
        books, self.open_updates = self.open_updates, {}
        updates = (book.drain_update(partition, version) for book in books.values())
        return [update for update in updates if update is not None]

    def counts_up_to(self, point: SafePoint) -> Source | None:
        """The source of a safe point, as of exactly its offset. Call it before `step` processes the point.

        None if the point is a repeat, or if newer updates were processed already, as they may be after a crash.
        """
        source = self._source(point.origin_partition)
        is_news = point.origin_offset > source.safe_offset and point.origin_offset >= source.newest_offset
        return source if is_news else None

    def _book(self, workspace_id: str) -> Book:
        """The workspace's book, which the caller is about to change."""
        book = self.books.get(workspace_id)
        if book is None:
            book = self.books[workspace_id] = Book(Wallet(workspace_id))
        self.touched[workspace_id] = self.open_updates[workspace_id] = book
        if book.wallet.since < 0:
            self._beginning.append(book)
        return book

    def _source(self, partition: int) -> Source:
        return self.sources.setdefault(partition, Source())

    def _is_repeat(self, metered: Metered) -> bool:
        source = self.sources.get(metered.origin_partition)
        return source is not None and metered.origin_offset <= source.safe_offset

    def _apply_conversation(self, metered: ConversationMetered) -> None:
        if self._is_repeat(metered):
            return
        book = self._book(metered.workspace_id)
        conversation = book.conversations.get(metered.conversation_id)
        previous_day: UsageKey | None = None
        wallet = book.wallet
        if conversation is None:
            conversation = book.conversations[metered.conversation_id] = BilledConversation.opened_by(metered)
            wallet.conversations += 1
        elif conversation.covers(metered):
            return
        else:
            previous_day = self._subtract_usage(book, conversation)
            self._count_messages(book, conversation, -1)
        conversation.update_from(metered)
        self._count_messages(book, conversation, +1)
        if wallet.status != "created":
            self._provision(book, metered.first_ms)
        if wallet.status != "unknown":
            settle(book, conversation, self.policy, self.clock_ms)
        self._add_usage(book, conversation, previous_day)
        book.add_cause(metered)

    def _count_messages(self, book: Book, conversation: BilledConversation, sign: int) -> None:
        source = self._source(conversation.origin_partition)
        if conversation.origin_offset > source.newest_offset:
            source.newest_offset = conversation.origin_offset
        if conversation.state == "closed":
            source.messages += sign * conversation.messages
            book.wallet.messages += sign * conversation.messages

    def _apply_occurrence(self, metered: OccurrenceMetered) -> None:
        source = self._source(metered.origin_partition)
        if self._is_repeat(metered) or metered.origin_offset in source.recent:
            return
        source.recent.add(metered.origin_offset)
        source.newest_offset = max(source.newest_offset, metered.origin_offset)
        source.occurrences += 1
        book = self._book(metered.workspace_id)
        book.wallet.occurrences += 1
        self._provision(book, metered.at_ms)
        self._usage(book, metered.bot_id, metered.at_ms).count_occurrence(metered.kind)
        book.add_cause(metered)

    def _usage(self, book: Book, bot_id: str, at_ms: int) -> Usage:
        key = UsageKey(bot_id, day_of(at_ms))
        if key not in book.usage:
            self._timers.watch_usage(book, key)
        return book.usage_of(key)

    def _subtract_usage(self, book: Book, conversation: BilledConversation) -> UsageKey:
        """Subtract a conversation from its day, before it changes. Returns that day."""
        key = UsageKey(conversation.bot_id, day_of(conversation.first_ms))
        book.usage_of(key).count(conversation, -1)
        return key

    def _add_usage(self, book: Book, conversation: BilledConversation, previous_day: UsageKey | None) -> None:
        """Add a conversation to its day, after it changed. `previous_day` is the day that it was subtracted from."""
        self._usage(book, conversation.bot_id, conversation.first_ms).count(conversation, +1)
        if previous_day is not None:
            self._watch_if_empty(book, previous_day)
        book.touch_conversation(conversation)
        self._timers.watch_conversation(book, conversation)

    def _watch_if_empty(self, book: Book, key: UsageKey) -> None:
        if not book.usage[key].remembered:
            self._timers.watch_usage(book, key)

    def _provision(self, book: Book, at_ms: int) -> None:
        """Create an unknown workspace as a Standard one, with a free grant from the event's time on. An event with an
        earlier time that arrives later moves the grant's term back. Creates nothing under the policy `hold`.
        """
        if book.wallet.status == "unknown":
            if self.policy.unknown_workspace != "provision":
                return
            book.wallet.status = "provisioned"
            open_wallet(book, "standard", None, at_ms, self.policy, self.clock_ms)
            # The assumed plan must be before the plan of any command.
            book.wallet.plan.assume("standard", self.policy.conversation_micros)
            self._watch_new_lots(book)
        elif at_ms < book.seen_from_ms and book.wallet.status == "provisioned":
            book.seen_from_ms = at_ms
            lot = book.wallet.lots.by_id.get(INITIAL_GRANT)
            if lot is not None and at_ms < lot.assigned_ms:
                lot.assigned_ms, lot.expires_ms = at_ms, at_ms + lot.expires_ms - lot.assigned_ms
                book.reorder_lots()
                self._timers.watch_lot(book, lot)

    def _apply_command(self, command: AnyCommand) -> Rejected | None:
        book = self._book(command.data.workspace_id)
        outcome = apply_command(book, command, self.policy, self.clock_ms)
        self._watch_new_lots(book)
        if isinstance(outcome, Done) and outcome.rebill and book.wallet.status != "unknown":
            self._rebill(book)
        return outcome if isinstance(outcome, Rejected) else None

    def _rebill(self, book: Book) -> None:
        """Charge every remembered conversation again, in order of time, because a plan may have changed."""
        for conversation in sorted(book.conversations.values(), key=lambda each: (each.first_ms, each.conversation_id)):
            previous_day = self._subtract_usage(book, conversation)
            settle(book, conversation, self.policy, self.clock_ms)
            self._add_usage(book, conversation, previous_day)

    def _apply_policy(self, record: PolicyRecord) -> None:
        """Put a newer policy in force, and charge what was held until then if it is not held any more."""
        before, self.in_force = self.in_force, self.in_force.after(record)
        self.policy = self._timers.policy = self.in_force.policy
        if before.policy.unknown_workspace == "hold" and self.policy.unknown_workspace == "provision":
            self._charge_held()

    def _charge_held(self) -> None:
        """Create each unknown workspace from its first remembered event on, and charge its conversations."""
        for workspace_id in sorted(self.books):
            if (held_from_ms := self.books[workspace_id].held_from_ms(self.clock_ms)) is not None:
                book = self._book(workspace_id)
                self._provision(book, held_from_ms)
                self._rebill(book)

    def _watch_new_lots(self, book: Book) -> None:
        while book.new_lots:
            self._timers.watch_lot(book, book.new_lots.pop())

    def _apply_safe_point(self, point: SafePoint) -> None:
        """Move event time on: lapse expired free lots, forget conversations and days that can no longer change."""
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
