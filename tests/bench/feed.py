"""The feed of the bench, drawn from a seed: KEYS live interactions, each a Poisson process of messages.

The mean silence between two messages of an interaction is 7.44 minutes of event time, so one in 7.5 is longer than
the gap: 7.5 messages a conversation on average. Such processes side by side are one process of KEYS times the rate
whose every message belongs to any of them alike, and that is how they are drawn: in order of time, uniform over keys.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

from tests.feeds.lines import MINUTE_MS, millis, stamp

GAP_MS: Final = 15 * MINUTE_MS
SILENCE_MS: Final = 7.44 * MINUTE_MS
"""Mean time between two messages of one interaction; exp(GAP_MS / SILENCE_MS) = 7.5."""

START_MS: Final = millis(2026, 6, 1)
WORKSPACES: Final = 200
CHANNELS: Final = ("web", "whatsapp", "sms", "voice")
BOTS_A_WORKSPACE: Final = 3


class Event(NamedTuple):
    """A record of chat-events: its Kafka key, the workspace, and its value, a CloudEvent of about 250 bytes."""

    key: bytes
    value: bytes


@dataclass
class Truth:
    """What a feed holds, counted while it is drawn."""

    events: int = 0
    conversations: int = 0
    billable: int = 0
    """Conversations with at least one message of the user."""
    keys_seen: int = 0
    value_bytes: int = 0


class Feed:
    """`count` events of `keys` interactions; the same ones for the same seed. Can be gone through once."""

    def __init__(self, keys: int, count: int, seed: int = 1) -> None:
        self.keys = keys
        self.count = count
        self.truth = Truth()
        self._random = Random(seed)
        self._last_ms = array("q", bytes(8 * keys))
        """When each interaction spoke last; 0 if it has not."""
        self._is_billable = bytearray(keys)
        self._second = -1
        self._second_text = ""

    def __iter__(self) -> Iterator[Event]:
        random, uniform = self._random, self._random.random
        a_ms = self.keys / SILENCE_MS
        at = float(START_MS)
        for _ in range(self.count):
            at += random.expovariate(a_ms)
            user = int(uniform() * self.keys)
            yield self._event(user, int(at), random.getrandbits(64), inbound=uniform() < 0.5)

    def _event(self, user: int, at_ms: int, number: int, *, inbound: bool) -> Event:
        self._count(user, at_ms, inbound)
        workspace = f"ws-{user % WORKSPACES:03}"
        bot = user // WORKSPACES % BOTS_A_WORKSPACE
        direction, actor = ("in", "user") if inbound else ("out", "bot")
        value = (
            f'{{"specversion":"1.0","id":"{number:016x}","source":"/{workspace}","type":"chat.message",'
            f'"time":"{self._stamp(at_ms)}","data":{{"workspace_id":"{workspace}","bot_id":"bot-{bot}",'
            f'"channel":"{CHANNELS[user % 4]}","channel_user_id":"user-{user:07}","direction":"{direction}",'
            f'"actor":"{actor}"}}}}'
        ).encode()
        self.truth.value_bytes += len(value)
        return Event(workspace.encode(), value)

    def _count(self, user: int, at_ms: int, inbound: bool) -> None:
        truth, last_ms = self.truth, self._last_ms[user]
        truth.events += 1
        truth.keys_seen += not last_ms
        if at_ms - last_ms > GAP_MS:
            truth.conversations += 1
            self._is_billable[user] = False
        if inbound and not self._is_billable[user]:
            truth.billable += 1
            self._is_billable[user] = True
        self._last_ms[user] = at_ms

    def _stamp(self, at_ms: int) -> str:
        """RFC 3339 in milliseconds. Written anew once a second only: the feed is in order of time."""
        second, ms = divmod(at_ms, 1000)
        if second != self._second:
            self._second, self._second_text = second, stamp(second * 1000)[:-4]
        return f"{self._second_text}{ms:03}Z"
