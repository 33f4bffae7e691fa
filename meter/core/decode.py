"""Reading a record's value: a typed value, or a refusal whose reason names the field (DOMAIN, Metering 6).

One parser decides what a record says: `strict_json.parse`. The codec is faster and is asked first; what it finds is
used only where both are certain to agree (`_quickly`). All refusals come from `interpret`.
"""

import re
from typing import Final, NamedTuple, TypeVar

import msgspec

from meter.core.interpret import OWN, interpret
from meter.core.rejection import Rejected
from meter.core.strict_json import Fields, may_be_deep, parse
from schemas.commands import COMMAND_PREFIX, AnyCommand, decode_command
from schemas.events import MAX_EVENT_BYTES, AnyChatEvent, ChatData, ChatEvent, Message, decode_event
from schemas.forms import Form

T = TypeVar("T")

# The codec rounds fractions finer than a microsecond, which can move an event to the next day.
_FINE = re.compile(rb"\.\d{7}")

# The codec accepts two things that must be refused: a field that is present twice, and a UTC offset without its colon.
# Searching for the patterns below is enough to exclude both for nearly every event.
_PLAIN_TIME = re.compile(rb'"time" ?: ?"[^"]*[Zz]"')
_PLAIN_QUOTES = 46
"""Quotes in an event with its twelve fields and no other: two for each of 12 names and 11 texts."""
_ESCAPED_ASCII = re.compile(rb"\\u00[2-7]")
_NAMES = [f'"{name}"'.encode() for name in (*Message.__struct_fields__, *ChatData.__struct_fields__, "type")]


NULL_VALUE: Final = Rejected("null_value", "value: is null; a CloudEvent in JSON is expected")

OWN_PREFIX: Final = "meter."
"""First characters of the types that only the product writes."""


class Envelope(NamedTuple):
    """The fields that decide where a record belongs. Each is empty if it is not there, or is there twice."""

    kind: str
    workspace_id: str

    @property
    def is_command(self) -> bool:
        """Whether the record belongs to the commands. All others, also unreadable ones, belong to the events."""
        return self.kind.startswith(COMMAND_PREFIX)


def read(value: bytes | None, form: Form[T]) -> T | Rejected:
    """Decode one record's value.

    Never raises: any client can write to a topic, so any bytes give a value or a refusal.
    """
    if value is None:
        return NULL_VALUE
    if len(value) > MAX_EVENT_BYTES:
        return _too_large(value)
    found = _quickly(value, form)
    if found is not None:
        return found
    parsed = parse(value)
    if isinstance(parsed, Rejected):
        return parsed
    return interpret(parsed, form)


def sort(value: bytes) -> tuple[Envelope, AnyChatEvent | AnyCommand | Rejected]:
    """Read a value of which it is not known whether it is an event or a command, and say where it belongs.

    Feeds and replays are routed by it. So what a stage reads in a record is what it was routed by.
    """
    event = None if len(value) > MAX_EVENT_BYTES else _quickly(value, decode_event)
    if isinstance(event, ChatEvent):
        return Envelope(str(event.__struct_config__.tag), event.data.workspace_id), event
    parsed = parse(value)
    envelope = _envelope(parsed)
    if len(value) > MAX_EVENT_BYTES:
        return envelope, _too_large(value)
    if isinstance(parsed, Rejected):
        return envelope, parsed
    if not envelope.is_command:
        return envelope, interpret(parsed, decode_event)
    return envelope, interpret(parsed, decode_command)


def _too_large(value: bytes) -> Rejected:
    return Rejected("too_large", f"value: {len(value)} bytes are more than the {MAX_EVENT_BYTES} an event may have")


def _envelope(parsed: object) -> Envelope:
    if not isinstance(parsed, Fields):
        return Envelope("", "")
    return Envelope(_word(parsed, "type"), _word(parsed.get("data"), "workspace_id"))


def _word(fields: object, name: str) -> str:
    if not isinstance(fields, Fields) or name in fields.repeated:
        return ""
    word = fields.get(name)
    return word.encode("utf-8", "ignore").decode() if isinstance(word, str) else ""


def _quickly(value: bytes, form: Form[T]) -> T | None:
    """Read a value by the codec alone. Returns None if the parser might read anything else, or refuse it.

    What only the product writes is its own form. Only the codec's fields count in them, however often they are
    there, so nothing more has to be checked.
    """
    try:
        if not value.isascii():
            value.decode()  # Raises if it is not UTF-8. The codec does not check the bytes of unknown fields.
        if _FINE.search(value) or may_be_deep(value):
            return None
        found = form.decode(value)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        return None
    if isinstance(found, OWN) or (isinstance(found, ChatEvent) and _is_plain(value)):
        return found
    return None


def _is_plain(value: bytes) -> bool:
    """Whether an event that the codec has read certainly has each of its fields once and a time in UTC."""
    if not _PLAIN_TIME.search(value):
        return False
    if value.count(b'"') == _PLAIN_QUOTES and b"\\" not in value:
        return True
    return not _ESCAPED_ASCII.search(value) and all(value.count(name) == 1 for name in _NAMES)
