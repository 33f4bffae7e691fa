"""Chat events as bot runtimes write them: CloudEvents 1.0 in JSON (DOMAIN, Metering)."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from schemas.instants import from_ms

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
"""An id or a name given from outside."""

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""RFC 3339, with its offset from UTC."""

Actor = Literal["user", "bot", "agent", "developer"]
Direction = Literal["in", "out"]

MAX_EVENT_BYTES = 1024 * 1024
"""A chat event carries no text and no attachment; what is larger than 1 MiB is not one."""


class ChatData(msgspec.Struct, frozen=True):
    """Who spoke to whom. Message text is not among the fields, so it is dropped on reading and never stored."""

    workspace_id: Name
    bot_id: Name
    channel: Name
    channel_user_id: Name
    direction: Direction
    actor: Actor


class ChatEvent(msgspec.Struct, frozen=True, tag_field="type"):
    """What the three types of chat event have in common. `time` is when it happened."""

    specversion: Literal["1.0"]
    id: Name
    source: Name
    time: Instant
    data: ChatData


class Message(ChatEvent, frozen=True, tag="chat.message"):
    """One message of an interaction."""


class ProactiveNotification(ChatEvent, frozen=True, tag="chat.notification.proactive"):
    """A notification that the bot sent of its own accord: a unit of its own type."""


class AlertNotification(ChatEvent, frozen=True, tag="chat.notification.alert"):
    """An alert that was delivered: a unit of its own type."""


class ClockTick(msgspec.Struct, frozen=True, tag_field="type", tag="meter.tick"):
    """Event time has reached `time`, whether or not anybody spoke. Written to every partition of chat-events.

    `final` says that the feed ends here: what is open closes as if its time had passed. More may follow all the same.
    """

    specversion: Literal["1.0"]
    id: Name
    source: Name
    time: Instant
    final: bool = False


AnyChatEvent = Message | ProactiveNotification | AlertNotification | ClockTick

decode_event = msgspec.json.Decoder(AnyChatEvent).decode
"""bytes -> AnyChatEvent. Raises msgspec.MsgspecError, UnicodeDecodeError, RecursionError or ValueError."""

_encode = msgspec.json.Encoder().encode


def encode_tick(at_ms: int, *, final: bool = False) -> bytes:
    """The record that says that event time has reached `at_ms`."""
    return _encode(ClockTick("1.0", f"tick-{at_ms}", "/meter", from_ms(at_ms), final))
