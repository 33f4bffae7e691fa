"""Outcomes of `Sessions.step`: what became of one record of chat-events."""

import msgspec

from meter.core.rejection import Rejected
from meter.core.sessions.conversations import Conversation, InteractionKey
from schemas.metered import Kind


class ConversationTouched(msgspec.Struct, frozen=True):
    """Outcome: a user or bot message was added to `conversation`, and may have bridged `absorbed` into it.

    `announce` says that a metered update of `conversation` is needed now: its charge changed, or it was closed before.
    An absorbed conversation always needs an update, because an earlier run may have announced it.
    """

    key: InteractionKey
    conversation: Conversation
    absorbed: Conversation | None
    announce: bool


class OccurrenceCounted(msgspec.Struct, frozen=True):
    """Outcome: an event outside conversations was accepted, a notification or a message of an agent or a developer."""

    key: InteractionKey
    kind: Kind
    unit_id: str
    at_ms: int


class Ticked(msgspec.Struct, frozen=True):
    """Outcome: the record was a tick. After a final one the caller closes all conversations with `close_all`."""

    final: bool


class PolicyRead(msgspec.Struct, frozen=True):
    """Outcome: the record was a policy. From here on it is in force, unless its version is not newer (`changed`)."""

    changed: bool


class Duplicate(msgspec.Struct, frozen=True):
    """Outcome: a repeat of an accepted event. Only the watermark may have moved."""


class Conflict(msgspec.Struct, frozen=True):
    """Outcome: another event has the id of an accepted one, which stays. Only the watermark may have moved."""


Outcome = ConversationTouched | OccurrenceCounted | Ticked | PolicyRead | Duplicate | Conflict | Rejected
