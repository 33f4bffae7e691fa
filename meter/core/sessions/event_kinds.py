"""Kinds and classes of chat events. The kind says how an event is counted, the class must agree in a repeat."""

from itertools import product
from typing import Final

from schemas.events import AlertNotification, Message, ProactiveNotification
from schemas.metered import Kind

ChatMessage = Message | ProactiveNotification | AlertNotification
"""A chat event that belongs to an interaction: any but a tick."""

_TYPES: Final = (Message, ProactiveNotification, AlertNotification)
_DIRECTIONS: Final = ("in", "out")
_ACTORS: Final = ("user", "bot", "agent", "developer")

EVENT_CLASSES: Final = tuple(":".join(words) for words in product(("m", "p", "a"), _DIRECTIONS, _ACTORS))
"""The 24 classes. State entries store the index in this tuple, so its order must not change."""

_CLASSES: Final = dict(zip(product(_TYPES, _DIRECTIONS, _ACTORS), EVENT_CLASSES, strict=True))


def class_of(event: ChatMessage) -> str:
    """The class of an event: its type, direction and actor in one word. A repeat has the same key, time and class."""
    return _CLASSES[type(event), event.data.direction, event.data.actor]


def kind_of(event: ChatMessage) -> Kind | None:
    """The kind of an event outside conversations; None for a message of the user or the bot."""
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
