"""The conversations that wait to be charged again, in order of (first message, id)."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import islice

from meter.core.wallet.billed_conversations import BilledConversation
from schemas.instants import MINUTE_MS


class Waiting:
    """A queue. Call `look_at` until it has looked at all conversations, then `first` and `drop_first`.

    It is made bit by bit, because a workspace may have a million conversations: some are looked at with each call, and
    each minute is put in order when it is reached.
    """

    def __init__(self, conversations: Iterable[BilledConversation]) -> None:
        self._unseen = iter(list(conversations))
        self._minutes: defaultdict[int, list[BilledConversation]] = defaultdict(list)
        self._later: list[int] | None = None
        self._current: list[BilledConversation] = []

    def look_at(self, most: int | None, needs_settling: Callable[[BilledConversation], bool]) -> None:
        """Look at the next `most` conversations, or at all that are left. Those that need settling join the queue."""
        for conversation in islice(self._unseen, most):
            if needs_settling(conversation):
                self._minutes[conversation.first_ms // MINUTE_MS].append(conversation)

    def first(self) -> BilledConversation | None:
        """The next conversation, which stays in the queue; None if there is none."""
        if self._later is None:
            self._later = sorted(self._minutes, reverse=True)
        while not self._current and self._later:
            minute = self._minutes.pop(self._later.pop())
            self._current = sorted(minute, key=lambda each: (each.first_ms, each.conversation_id), reverse=True)
        return self._current[-1] if self._current else None

    def drop_first(self) -> None:
        """Remove the conversation that `first` has returned."""
        self._current.pop()
