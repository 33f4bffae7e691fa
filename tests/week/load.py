"""A steady load: the same number of new conversations every minute, each with a user who has never spoken before."""

import heapq
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from tests.feeds.lines import MINUTE_MS, chat_data, envelope, line

WORKSPACES = 20
MEAN_MESSAGES = 7.5
"""Messages of a conversation, as in real traffic."""


class _Conversation(NamedTuple):
    """A user who speaks next at `at_ms`, and then `left` times more."""

    at_ms: int
    number: int
    left: int


class Load:
    """Lines of event time without an end, `events_a_minute` of them on average."""

    def __init__(self, seed: int, start_ms: int, events_a_minute: float) -> None:
        self._rng = Random(seed)
        self._now_ms = start_ms
        self._starts_a_minute = events_a_minute / MEAN_MESSAGES
        self._owed = 0.0
        self._speaking: list[_Conversation] = []
        self._conversations = 0
        self._messages = 0

    def until(self, end_ms: int) -> Iterator[bytes]:
        """The next lines, in order of time, up to and not including `end_ms`."""
        while self._now_ms < end_ms:
            self._begin()
            self._now_ms += MINUTE_MS
            while self._speaking and self._speaking[0].at_ms < self._now_ms:
                yield self._say(heapq.heappop(self._speaking))

    def _begin(self) -> None:
        self._owed += self._starts_a_minute
        while self._owed >= 1:
            self._owed -= 1
            self._conversations += 1
            at_ms = self._now_ms + self._rng.randrange(MINUTE_MS)
            heapq.heappush(
                self._speaking,
                _Conversation(at_ms, self._conversations, self._rng.randrange(int(2 * MEAN_MESSAGES))),
            )

    def _say(self, speaker: _Conversation) -> bytes:
        self._messages += 1
        if speaker.left:
            later_ms = speaker.at_ms + self._rng.randrange(1, 5 * MINUTE_MS)
            heapq.heappush(self._speaking, _Conversation(later_ms, speaker.number, speaker.left - 1))
        workspace = f"ws-{speaker.number % WORKSPACES}"
        actor = "user" if self._messages % 2 else "bot"
        data = chat_data(workspace, "bot", "web", f"visitor-{speaker.number}", actor)
        return line(envelope("chat.message", speaker.at_ms, f"m-{self._messages}", "/runtime", data))
