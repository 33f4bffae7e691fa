"""Chat events as bot runtimes write them: CloudEvents 1.0 in JSON (DOMAIN, Metering)."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from schemas.forms import Form
from schemas.instants import from_ms
from schemas.policy import PolicyRecord

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
"""An id or a name from outside the product: 1 to 512 characters."""

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""An RFC 3339 time with its offset from UTC. A time without an offset is refused."""

Actor = Literal["user", "bot", "agent", "developer"]
Direction = Literal["in", "out"]

MAX_EVENT_BYTES = 1024 * 1024
"""The largest chat event, 1 MiB. A chat event carries no text and no attachment, so a larger record is not one."""


class ChatData(msgspec.Struct, frozen=True):
    """The participants of a chat event. Message text is not a field: it is dropped on reading and never stored."""

    workspace_id: Name
    bot_id: Name
    channel: Name
    channel_user_id: Name
    direction: Direction
    actor: Actor


class ChatEvent(msgspec.Struct, frozen=True, tag_field="type"):
    """The fields that the three types of chat event have. `time` is when the event happened."""

    specversion: Literal["1.0"]
    id: Name
    source: Name
    time: Instant
    data: ChatData


class Message(ChatEvent, frozen=True, tag="chat.message"):
    """One message of an interaction, sent by the user, the bot, a human agent or a developer."""


class ProactiveNotification(ChatEvent, frozen=True, tag="chat.notification.proactive"):
    """A notification that the bot sent without being asked. It is one unit of its own type."""


class AlertNotification(ChatEvent, frozen=True, tag="chat.notification.alert"):
    """An alert that was delivered. It is one unit of its own type."""


class ClockTick(msgspec.Struct, frozen=True, tag_field="type", tag="meter.tick"):
    """A statement that event time has reached `time`, for partitions without messages.

    A feed writes it to every partition of chat-events, an idle worker to its own. `final` marks the end of a feed:
    every open conversation closes as if the gap had passed. Events after a final tick are accepted.
    """

    specversion: Literal["1.0"]
    id: Name
    source: Name
    time: Instant
    final: bool = False


AnyChatEvent = Message | ProactiveNotification | AlertNotification | ClockTick | PolicyRecord

decode_event: Form[AnyChatEvent] = Form(AnyChatEvent)
"""The form of chat events. Reading is `meter/core/decode.py`'s; the form alone decodes what the product has written."""

_encode = msgspec.json.Encoder().encode


def encode_tick(at_ms: int, *, final: bool = False) -> bytes:
    """Encode a tick for the event time `at_ms`. The same time gives the same bytes."""
    return _encode(ClockTick("1.0", f"tick-{at_ms}", "/meter", from_ms(at_ms), final))
