"""What kinds of chat event there are: how one is counted, and what has to agree in a true repeat."""

from itertools import product
from typing import Final

from schemas.events import AlertNotification, Message, ProactiveNotification
from schemas.metered import Kind

ChatMessage = Message | ProactiveNotification | AlertNotification
"""An event that is about an interaction."""

_TYPES: Final = (Message, ProactiveNotification, AlertNotification)
_DIRECTIONS: Final = ("in", "out")
_ACTORS: Final = ("user", "bot", "agent", "developer")

EVENT_CLASSES: Final = tuple(":".join(words) for words in product(("m", "p", "a"), _DIRECTIONS, _ACTORS))
"""All 24 words for type, direction and actor. State entries hold a word's place here, so the order stays."""

_CLASSES: Final = dict(zip(product(_TYPES, _DIRECTIONS, _ACTORS), EVENT_CLASSES, strict=True))


def class_of(event: ChatMessage) -> str:
    """Type, direction and actor in one interned word: what must agree, beside key and time, in a true repeat."""
    return _CLASSES[type(event), event.data.direction, event.data.actor]


def kind_of(event: ChatMessage) -> Kind | None:
    """How an event that stands for itself is counted; None for a message of a conversation."""
    match event:
        case ProactiveNotification():
            return "proactive"
        case AlertNotification():
            return "alert"
        case Message(data=data) if data.actor == "agent":
            return "agent"
        case Message(data=data) if data.actor == "developer":
            return "developer"
    return None
