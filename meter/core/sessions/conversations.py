"""The state of one interaction: its conversations and the ids it has seen (DOMAIN, Metering 1 to 3).

A conversation is an interval [first, last] with counts. Two intervals at most one gap apart are one: joining is what
makes arrival order irrelevant. All times are event time in milliseconds.
"""

from typing import NamedTuple

import msgspec

from schemas.ids import conversation_id

InteractionKey = tuple[str, str, str, str]
"""(workspace_id, bot_id, channel, channel_user_id)."""


class Conversation(msgspec.Struct, array_like=True):
    """A maximal chain of user and bot messages. Its id and `opened_ms` are those of the message that arrived first."""

    conversation_id: str
    opened_ms: int
    first_ms: int
    last_ms: int
    messages: int = 0
    requests: int = 0
    closed: bool = False

    @property
    def billable(self) -> bool:
        """Holds at least one user message."""
        return self.requests > 0

    def sessions(self, gap_ms: int) -> int:
        """Enterprise units on the grid anchored at the first message: max(1, ceil(length / gap))."""
        return max(1, -((self.first_ms - self.last_ms) // gap_ms))

    def touches(self, at_ms: int, gap_ms: int) -> bool:
        """Whether a message at `at_ms` belongs here: at most `gap_ms` from either end, or between."""
        return self.first_ms - gap_ms <= at_ms <= self.last_ms + gap_ms

    def absorb(self, later: "Conversation") -> None:
        """Join a later conversation that a message has bridged to this one."""
        self.first_ms = min(self.first_ms, later.first_ms)
        self.last_ms = max(self.last_ms, later.last_ms)
        self.messages += later.messages
        self.requests += later.requests


class Seen(NamedTuple):
    """An accepted event: its id (16 bytes), its time, and a code of its type, direction and actor."""

    event_key: bytes
    at_ms: int
    event_class: str


class Interaction(msgspec.Struct, array_like=True):
    """Conversations within reach of a late message, by time, and the events accepted within the horizon."""

    conversations: list[Conversation] = []
    seen: list[Seen] = []
    due_ms: int = 0
    """The earliest event time at which something here may close or be forgotten."""

    @property
    def closed_messages(self) -> int:
        """Messages of its conversations that are closed and not forgotten."""
        return sum(each.messages for each in self.conversations if each.closed)


class Joined(NamedTuple):
    """What one message did: where it belongs now, and the conversation that it bridged into it, if any."""

    conversation: Conversation
    absorbed: Conversation | None


def join(interaction: Interaction, at_ms: int, by_user: bool, event_key: bytes, gap_ms: int) -> Joined:
    """Take one user or bot message into its interaction: open, extend or bridge.

    At most two conversations can touch one instant, because conversations are more than a gap apart.
    """
    touching = [each for each in interaction.conversations if each.touches(at_ms, gap_ms)]
    if touching:
        conversation = touching[0]
    else:
        conversation = Conversation(conversation_id(event_key, at_ms), at_ms, at_ms, at_ms)
        interaction.conversations.append(conversation)
    conversation.first_ms = min(conversation.first_ms, at_ms)
    conversation.last_ms = max(conversation.last_ms, at_ms)
    conversation.messages += 1
    conversation.requests += by_user
    absorbed = touching[1] if len(touching) == 2 else None
    if absorbed is not None:
        conversation.absorb(absorbed)
        interaction.conversations.remove(absorbed)
    interaction.conversations.sort(key=lambda each: each.first_ms)
    return Joined(conversation, absorbed)
