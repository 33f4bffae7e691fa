"""Decoding a record's value: a typed value, or a refusal whose reason names the field (DOMAIN, Metering 6)."""

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import msgspec

from meter.core.rejection import Rejected
from schemas.commands import Command
from schemas.events import MAX_EVENT_BYTES, ChatData, ChatEvent, Message
from schemas.rejection_codes import RejectionCode

T = TypeVar("T")

_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]+)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_WRONG = re.compile(r"(?P<what>.*) - at `\$\.(?P<path>[^`]*)`", re.DOTALL)

# Matches an escaped backslash, a pair of surrogates (one character), or a surrogate that stands alone.
_ESCAPE = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
# The codec rounds fractions finer than a microsecond, which can move an event to the next day. They must be cut off.
_FINE = re.compile(rb"\.\d{7}")
_FINE_TIME = re.compile(rb'("(?:time|expires_at)"\s*:\s*"[^"\\]*\.\d{6})\d+')

# The codec accepts two things that must be refused: a field that is present twice, and a UTC offset without its colon.
# Searching for the patterns below is enough to exclude both for nearly every event; only the rest is parsed again.
_PLAIN_TIME = re.compile(rb'"time" ?: ?"[^"]*[Zz]"')
_PLAIN_QUOTES = 46
"""Quotes in an event with its twelve fields and no other: two for each of 12 names and 11 texts."""
_ESCAPED_ASCII = re.compile(rb"\\u00[2-7]")
_NAMES = [f'"{name}"'.encode() for name in (*Message.__struct_fields__, *ChatData.__struct_fields__, "type")]
# A number beyond the range of a float is valid JSON, so the parser must not convert numbers.
_parse = msgspec.json.Decoder(msgspec.Raw).decode
_ZONE = re.compile(r"([Zz]|[+-][0-9]{2}:[0-9]{2})\Z")


def read(value: bytes | None, decode: Callable[[bytes], T]) -> T | Rejected:
    """Decode one record's value.

    Never raises: any client can write to a topic, so any bytes give a value or a refusal. `decode` may raise
    msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError or OverflowError.
    """
    if value is None:
        return Rejected("null_value", "value: is null; a CloudEvent in JSON is expected")
    if len(value) > MAX_EVENT_BYTES:
        return Rejected("too_large", f"value: {len(value)} bytes are more than the {MAX_EVENT_BYTES} an event may have")
    try:
        if not value.isascii():
            value.decode()  # Raises if it is not UTF-8. The codec does not check the bytes of unknown fields.
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
    """Read a value again with its lone surrogates replaced, such as half an emoji at the end of a text that was cut.

    A lone surrogate in a field that the product does not read is no reason to refuse an event. Returns None if there is
    no lone surrogate, if the value cannot be read even so, or if one is in a field that counts: two ids that differ
    only there must not become one.
    """
    mended = _replaced(value)
    if mended == value:
        return None
    found = read(mended, decode)
    # With another replacement the result must be the same, or the surrogate is in a field that counts.
    return None if isinstance(found, Rejected) or found != read(_replaced(value, b"\\ufffc"), decode) else found


def _replaced(value: bytes, stand_in: bytes = b"\\ufffd") -> bytes:
    return _ESCAPE.sub(lambda escape: stand_in if escape["lone"] else escape[0], value)


def _not_json(value: bytes) -> Rejected | None:
    """The refusal of a value that is not JSON; None if it is JSON.

    A value with a wrong field may be broken after that field. `not_json` goes before the field's fault (Metering 6).
    """
    try:
        _parse(_replaced(value))
    except RecursionError:
        return Rejected("not_json", "value: is nested too deeply")
    except msgspec.DecodeError as error:
        return Rejected("not_json", f"value: {_plain(str(error))}")
    return None


def _is_plain(value: bytes) -> bool:
    """Whether a readable event certainly has each of its fields once and a time in UTC. Checks without parsing.

    False means only that `_strictly` has to look.
    """
    if not _PLAIN_TIME.search(value):
        return False
    if value.count(b'"') == _PLAIN_QUOTES and b"\\" not in value:
        return True
    return not _ESCAPED_ASCII.search(value) and all(value.count(name) == 1 for name in _NAMES)


class _Object(list[tuple[str, object]]):
    """The fields of a JSON object in their order, repeated ones included."""


def _strictly(value: bytes, found: T) -> T | Rejected:
    """Check what the codec does not: a field that counts is present once, and a time is RFC 3339.

    Programs differ in which of two fields with one name they use, and an event must mean the same to every reader.
    Returns `found`, or the refusal.
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
        code: RejectionCode = "unknown_type" if wrong["path"] == "type" else "invalid_field"
        return Rejected(code, f"{wrong['path']}: {_plain(wrong['what'])}")
    return Rejected("not_an_event", f"value: {_plain(message)}")


def _plain(message: str) -> str:
    return message.replace("`", "").strip() or "cannot be read"
