"""The state of one interaction: its conversations (DOMAIN, Metering 1 to 3).

A conversation is an interval [first, last] with counts. Intervals that are at most one gap apart are joined to one, so
the result does not depend on the order of arrival. All times are event times in milliseconds.
"""

from typing import NamedTuple

import msgspec

from schemas.ids import conversation_id

InteractionKey = tuple[str, str, str, str]
"""(workspace_id, bot_id, channel, channel_user_id)."""


class Conversation(msgspec.Struct, array_like=True):
    """A maximal chain of user and bot messages.

    Its id and `opened_ms` come from the message that arrived first and never change. `first_ms` and `last_ms` are the
    earliest and the latest message time. `requests` counts the messages of the user.
    """

    conversation_id: str
    opened_ms: int
    first_ms: int
    last_ms: int
    messages: int = 0
    requests: int = 0
    closed: bool = False

    @property
    def billable(self) -> bool:
        """Whether it holds at least one user message."""
        return self.requests > 0

    def sessions(self, gap_ms: int) -> int:
        """Number of sessions on the grid that begins at the first message: max(1, ceil(length / gap))."""
        return max(1, -((self.first_ms - self.last_ms) // gap_ms))

    def touches(self, at_ms: int, gap_ms: int) -> bool:
        """Whether a message at `at_ms` belongs to it: between its ends, or at most `gap_ms` outside."""
        return self.first_ms - gap_ms <= at_ms <= self.last_ms + gap_ms

    def absorb(self, later: "Conversation") -> None:
        """Add the interval and the counts of a later conversation that a message has bridged to this one."""
        self.first_ms = min(self.first_ms, later.first_ms)
        self.last_ms = max(self.last_ms, later.last_ms)
        self.messages += later.messages
        self.requests += later.requests


class Interaction(msgspec.Struct, array_like=True):
    """The conversations that a late message can still touch, by time.

    It may hold more than that, until `Sessions.advance` removes it.
    """

    conversations: list[Conversation] = []
    due_ms: int = 0
    """The event time of the interaction's next timer: something may close or be forgotten then."""

    @property
    def closed_messages(self) -> int:
        """Messages of its closed conversations, without forgotten ones."""
        return sum(each.messages for each in self.conversations if each.closed)


class Joined(NamedTuple):
    """The result of `join`: the conversation that holds the message, and the one that the message bridged into it."""

    conversation: Conversation
    absorbed: Conversation | None


def join(interaction: Interaction, at_ms: int, by_user: bool, event_key: bytes, gap_ms: int) -> Joined:
    """Add one user or bot message to its interaction: open a conversation, extend one, or bridge two.

    A message touches at most two conversations, because conversations are more than a gap apart. The caller has
    checked that the message is no repeat and not late, and decides afterwards whether the conversation is still closed.
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
