"""Timers of the wallets, in event time: when a free lot lapses, when a conversation or a day can be
forgotten, and when an auto-reload may order again.

Timers are derived from the state after a restore and are never stored. A timer may be stale when it fires, so its
subject is looked up and checked again.
"""

from collections.abc import Callable, Iterator
from heapq import heappop, heappush

from meter.core.policy import Policy
from meter.core.wallet.billed_conversations import BilledConversation
from meter.core.wallet.book import Book
from meter.core.wallet.daily_usage import UsageKey
from meter.core.wallet.lot_timers import LotTimers
from meter.core.wallet.lots import Lot
from meter.core.wallet.purchases import Scope
from schemas.instants import DAY_MS


class Timers:
    """Five kinds of timer. Those of lots are kept by hour, the others in heaps of (time in ms, workspace, subject).

    The time in a heap is that of the subject, without the late horizon, which a policy may change. `find` returns the
    book of a workspace that has one, as an object that may be changed.

    A `watch_` method must be called at each change that its docstring names; a repeated timer does no harm. An
    `expired_` method removes the timers up to a time and yields their subjects. Timers hold names and no objects, so
    that the garbage collector does not visit millions of them.
    """

    def __init__(self, policy: Policy, find: Callable[[str], Book], lots: LotTimers) -> None:
        self.policy = policy
        self._find = find
        self._lots = lots
        self._conversations: list[tuple[int, str, str]] = []
        self._usage: list[tuple[int, str, str, int]] = []
        self._scopes: list[tuple[int, str, str]] = []
        self._terms: list[tuple[int, str, str]] = []

    def watch_lot(self, book: Book, lot: Lot) -> None:
        """Set the timers for the beginning and the end of a free lot's term. Called when a lot is added or moves."""
        self._lots.watch(book.wallet.workspace_id, lot)

    def due_lots(self, clock_ms: int) -> Iterator[tuple[Book, Lot]]:
        """Yield the free lots whose term has begun or ended by `clock_ms`."""
        for workspace_id, lot_id in self._lots.due(clock_ms):
            book = self._find(workspace_id)
            yield book, book.wallet.lots.by_id[lot_id]

    def watch_term(self, book: Book, bot_id: str, from_ms: int) -> None:
        """Set the timer of a plan whose time has not come: of a bot, or of the workspace if `bot_id` is ""."""
        heappush(self._terms, (from_ms, book.wallet.workspace_id, bot_id))

    def watch_terms(self, book: Book, clock_ms: int) -> None:
        """Set the timers of all plans of a workspace whose time has not come. Called after a restore."""
        wallet = book.wallet
        timelines = [("", wallet.plan, wallet.plan_begun_ms)]
        timelines += ((bot_id, bot.plan, bot.plan_begun_ms) for bot_id, bot in wallet.bots.items())
        for bot_id, timeline, begun_ms in timelines:
            for from_ms in timeline.instants():
                if from_ms > max(begun_ms, clock_ms):
                    self.watch_term(book, bot_id, from_ms)

    def due_terms(self, clock_ms: int) -> Iterator[tuple[Book, str]]:
        """Yield the plans whose time has come by `clock_ms`: book, and bot or ""."""
        while self._terms and self._terms[0][0] <= clock_ms:
            _, workspace_id, bot_id = heappop(self._terms)
            yield self._find(workspace_id), bot_id

    def watch_conversation(self, book: Book, conversation: BilledConversation) -> None:
        """Set the timer from when on no event within the horizon can touch a conversation. Called after each change.

        An open conversation gets no timer: it may have gone on without a metered update.
        """
        if conversation.state != "open":
            heappush(
                self._conversations, (conversation.last_ms, book.wallet.workspace_id, conversation.conversation_id)
            )

    def expired_conversations(self, watermark_ms: int, safe_offset: int) -> Iterator[tuple[Book, BilledConversation]]:
        """Yield the conversations that no event can touch any more.

        Open conversations are left out, and those of a workspace that is not created yet: their charges are held. So
        are those with an origin above `safe_offset`: a repeat of them could still come. There are some if a shorter
        horizon has come into force and the sessionizer repeats what it wrote before a crash.
        """
        repeatable: list[tuple[int, str, str]] = []
        heap = self._conversations
        oldest_ms = watermark_ms - self._reach_ms
        while heap and heap[0][0] < oldest_ms:
            timer = heappop(heap)
            _, workspace_id, conversation_id = timer
            book = self._find(workspace_id)
            conversation = book.conversations.get(conversation_id)
            if conversation is None or conversation.last_ms >= oldest_ms:
                continue
            if conversation.state == "open" or book.wallet.status == "unknown":
                continue  # It is watched again when it closes or is charged.
            if conversation.origin_offset > safe_offset:
                repeatable.append(timer)
                continue
            yield book, conversation
        for timer in repeatable:
            heappush(heap, timer)

    def watch_usage(self, book: Book, key: UsageKey) -> None:
        """Set the timer from when on no event within the horizon can belong to a day.

        Called when the day is added, and again when it has lost its last remembered conversation.
        """
        heappush(self._usage, ((key.day + 1) * DAY_MS, book.wallet.workspace_id, *key))

    def expired_usage(self, watermark_ms: int) -> Iterator[tuple[Book, UsageKey]]:
        """Yield the days that no event can change any more."""
        while self._usage and self._usage[0][0] <= watermark_ms - self._reach_ms:
            _, workspace_id, bot_id, day = heappop(self._usage)
            book, key = self._find(workspace_id), UsageKey(bot_id, day)
            usage = book.usage.get(key)
            if usage is not None and not usage.remembered:
                yield book, key

    def watch_scope(self, book: Book, bot_id: str, scope: Scope) -> None:
        """Set the timer of a scope whose auto-reload waits. Called after each change of what it waits for."""
        if scope.waits_until_ms:
            heappush(self._scopes, (scope.waits_until_ms, book.wallet.workspace_id, bot_id))

    def due_scopes(self, clock_ms: int) -> Iterator[tuple[Book, str]]:
        """Yield the scopes whose wait has ended by `clock_ms`."""
        while self._scopes and self._scopes[0][0] <= clock_ms:
            _, workspace_id, bot_id = heappop(self._scopes)
            book = self._find(workspace_id)
            if 0 < book.wallet.purchases.scopes[bot_id].waits_until_ms <= clock_ms:
                yield book, bot_id

    @property
    def _reach_ms(self) -> int:
        """How far behind the watermark a conversation's last message may be and still be joined by a new one."""
        return self.policy.gap_ms + self.policy.horizon_ms
