"""Reading what came over a topic: a typed value, or the reason why not, naming the field."""

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import msgspec

from meter.core.rejection import Rejected
from schemas.commands import Command
from schemas.events import MAX_EVENT_BYTES, ChatData, ChatEvent, Message

T = TypeVar("T")

_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]+)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_WRONG = re.compile(r"(?P<what>.*) - at `\$\.(?P<path>[^`]*)`", re.DOTALL)

# An escaped backslash, the two halves of one character, or a half that stands alone.
_ESCAPE = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
# The codec rounds what is finer than a microsecond, which can move an event to the next day. Time is cut, not rounded.
_FINE = re.compile(rb"\.\d{7}")
_FINE_TIME = re.compile(rb'("(?:time|expires_at)"\s*:\s*"[^"\\]*\.\d{6})\d+')

# What the codec lets pass and a strict reader does not: a field that is there twice, and an offset without its colon.
# Nearly every event shows at a glance that it has neither.
_PLAIN_TIME = re.compile(rb'"time" ?: ?"[^"]*[Zz]"')
_PLAIN_QUOTES = 46
"""Of an event that has its twelve fields and no other: 12 names and 11 texts."""
_ESCAPED_ASCII = re.compile(rb"\\u00[2-7]")
_NAMES = [f'"{name}"'.encode() for name in (*Message.__struct_fields__, *ChatData.__struct_fields__, "type")]
# A number that no float can hold is JSON all the same, so it is not made one.
_parse = msgspec.json.Decoder(msgspec.Raw).decode
_ZONE = re.compile(r"([Zz]|[+-][0-9]{2}:[0-9]{2})\Z")


def read(value: bytes | None, decode: Callable[[bytes], T]) -> T | Rejected:
    """Decode one record's value. Never raises: whatever a stranger can write has its reason."""
    if value is None:
        return Rejected("null_value", "value: is null; a CloudEvent in JSON is expected")
    if len(value) > MAX_EVENT_BYTES:
        return Rejected("too_large", f"value: {len(value)} bytes are more than the {MAX_EVENT_BYTES} an event may have")
    try:
        if not value.isascii():
            value.decode()  # The codec skips unknown fields without looking at their bytes.
        if _FINE.search(value):
            value = _FINE_TIME.sub(rb"\1", value)
        found = decode(value)
        if isinstance(found, Command) or (isinstance(found, ChatEvent) and not _is_plain(value)):
            return _strictly(value, found)
        return found
    except UnicodeDecodeError as error:
        return Rejected("invalid_utf8", f"value: byte {error.start} is not UTF-8")
    except msgspec.ValidationError as error:
        return _not_json(value) or _invalid(str(error))
    except msgspec.DecodeError as error:
        mended = _without_lone_surrogates(value, decode)
        return Rejected("not_json", f"value: {_plain(str(error))}") if mended is None else mended
    except RecursionError:
        return Rejected("not_json", "value: is nested too deeply")
    except (ValueError, OverflowError) as error:
        return Rejected("invalid_field", f"time: {_plain(str(error))}")


def _without_lone_surrogates(value: bytes, decode: Callable[[bytes], T]) -> T | None:
    """Read on where half an emoji stands in a field that nobody reads: a text that was cut is no reason not to bill.

    None where that is not what is wrong, or where it stands in a field that counts: another id must stay another.
    """
    mended = _replaced(value)
    if mended == value:
        return None
    found = read(mended, decode)
    # If it mattered what stands there, something else would be read.
    return None if isinstance(found, Rejected) or found != read(_replaced(value, b"\\ufffc"), decode) else found


def _replaced(value: bytes, stand_in: bytes = b"\\ufffd") -> bytes:
    return _ESCAPE.sub(lambda escape: stand_in if escape["lone"] else escape[0], value)


def _not_json(value: bytes) -> Rejected | None:
    """Whether the rest of a record with a wrong field is JSON at all: if not, that is the reason (Metering 6)."""
    try:
        _parse(_replaced(value))
    except RecursionError:
        return Rejected("not_json", "value: is nested too deeply")
    except msgspec.DecodeError as error:
        return Rejected("not_json", f"value: {_plain(str(error))}")
    return None


def _is_plain(value: bytes) -> bool:
    """Whether a readable event has each of its fields once and a time in UTC, as far as that shows without parsing."""
    if not _PLAIN_TIME.search(value):
        return False
    if value.count(b'"') == _PLAIN_QUOTES and b"\\" not in value:
        return True
    return not _ESCAPED_ASCII.search(value) and all(value.count(name) == 1 for name in _NAMES)


class _Object(list[tuple[str, object]]):
    """A JSON object with every field that it holds, in its order."""


def _strictly(value: bytes, found: T) -> T | Rejected:
    """Look again at what was read: a field that counts has to be there once, and a time to be RFC 3339.

    Of two fields of one name every program takes another one, and an event must be the same for all who read it.
    """
    record = json.loads(value, object_pairs_hook=_Object, parse_int=str)
    data = dict(record).get("data")
    for prefix, fields, struct in (("", record, found), ("data.", data, getattr(found, "data", None))):
        if not isinstance(fields, _Object) or not isinstance(struct, msgspec.Struct):
            continue
        names = Counter(name for name, _ in fields)
        known = struct.__struct_fields__ if prefix else ("type", *struct.__struct_fields__)
        for name in known:
            if names[name] > 1:
                return Rejected("invalid_field", f"{prefix}{name}: is there more than once")
        for name, text in fields:
            if name in ("time", "expires_at") and name in known and text is not None and not _is_rfc3339(text):
                return Rejected("invalid_field", f"{prefix}{name}: Invalid RFC3339 encoded datetime")
    return found


def _is_rfc3339(text: object) -> bool:
    return isinstance(text, str) and _ZONE.search(text) is not None


def _invalid(message: str) -> Rejected:
    if missing := _MISSING.fullmatch(message):
        path = f"{missing['path']}." if missing["path"] else ""
        return Rejected("missing_field", f"{path}{missing['field']}: required field is missing")
    if wrong := _WRONG.fullmatch(message):
        code = "unknown_type" if wrong["path"] == "type" else "invalid_field"
        return Rejected(code, f"{wrong['path']}: {_plain(wrong['what'])}")
    return Rejected("not_an_event", f"value: {_plain(message)}")


def _plain(message: str) -> str:
    return message.replace("`", "").strip() or "cannot be read"
