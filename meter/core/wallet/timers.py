"""When, in event time, a wallet has something to do that no input asks for: show a lapse, forget what is settled.

The heaps are derived from the state, never stored. A timer may be stale by the time it comes up; what it is for
is looked up again then.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from heapq import heappop, heappush

from meter.core.policy import Policy
from meter.core.wallet.billed_conversations import BilledConversation
from meter.core.wallet.book import Book
from meter.core.wallet.daily_usage import UsageKey
from meter.core.wallet.lots import Lot
from schemas.instants import DAY_MS


class Timers:
    """Three kinds, each a heap of (event time in ms, workspace, what it is for). They hold names and no objects: of
    millions of timers none is anything that the garbage collector has to look at.
    """

    def __init__(self, policy: Policy, books: Mapping[str, Book]) -> None:
        self._reach_ms = policy.gap_ms + policy.horizon_ms
        self._books = books
        self._lots: list[tuple[int, str, str]] = []
        self._conversations: defaultdict[int, list[tuple[int, str, str]]] = defaultdict(list)
        self._usage: list[tuple[int, str, str, int]] = []

    def watch_lot(self, book: Book, lot: Lot) -> None:
        """A free lot lapses when its term ends; one that is used up may be credited again before."""
        if lot.kind == "free":
            heappush(self._lots, (lot.expires_ms, book.wallet.workspace_id, lot.lot_id))

    def expired_lots(self, clock_ms: int) -> Iterator[tuple[Book, Lot]]:
        """Free lots whose term has ended by `clock_ms`."""
        while self._lots and self._lots[0][0] <= clock_ms:
            _, workspace_id, lot_id = heappop(self._lots)
            book = self._books[workspace_id]
            yield book, book.wallet.lots.by_id[lot_id]

    def watch_conversation(self, book: Book, conversation: BilledConversation) -> None:
        """A conversation is settled once no event within the horizon can touch it; one that is open never is, because
        it may have gone on without its wallet hearing of it.
        """
        if conversation.state != "open":
            heap = self._conversations[conversation.origin_partition]
            heappush(heap, (self._expires_ms(conversation), book.wallet.workspace_id, conversation.conversation_id))

    def expired_conversations(self, partition: int, watermark_ms: int) -> Iterator[tuple[Book, BilledConversation]]:
        """Settled conversations of a partition of chat-events, but those that are open again, or held for want of a
        workspace.
        """
        heap = self._conversations[partition]
        while heap and heap[0][0] <= watermark_ms:
            _, workspace_id, conversation_id = heappop(heap)
            book = self._books[workspace_id]
            conversation = book.conversations.get(conversation_id)
            if conversation is None or self._expires_ms(conversation) > watermark_ms:
                continue
            if conversation.state == "open" or book.wallet.status == "unknown":
                continue  # Watched again when it closes, or is charged.
            yield book, conversation

    def watch_usage(self, book: Book, key: UsageKey) -> None:
        """A day is settled once it is out of reach and holds no conversation that may still change: watched when it
        begins, and again whenever it has lost its last conversation.
        """
        heappush(self._usage, ((key.day + 1) * DAY_MS + self._reach_ms, book.wallet.workspace_id, *key))

    def expired_usage(self, slowest_ms: int) -> Iterator[tuple[Book, UsageKey]]:
        """Settled days, where `slowest_ms` is the event time that every source has reached."""
        while self._usage and self._usage[0][0] <= slowest_ms:
            _, workspace_id, bot_id, day = heappop(self._usage)
            book, key = self._books[workspace_id], UsageKey(bot_id, day)
            usage = book.usage.get(key)
            if usage is not None and not usage.remembered:
                yield book, key

    def _expires_ms(self, conversation: BilledConversation) -> int:
        return conversation.last_ms + self._reach_ms + 1
