"""Reading what came over a topic: a typed value, or the reason why not, naming the field."""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from meter.core.sessionize import Rejected
from schemas.events import MAX_EVENT_BYTES

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
        return decode(value)
    except UnicodeDecodeError as error:
        return Rejected("invalid_utf8", f"value: byte {error.start} is not UTF-8")
    except msgspec.ValidationError as error:
        return _invalid(str(error))
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
    mended = _ESCAPE.sub(lambda escape: b"\\ufffd" if escape["lone"] else escape[0], value)
    if mended == value:
        return None
    found = read(mended, decode)
    return None if isinstance(found, Rejected) or b"\xef\xbf\xbd" in msgspec.json.encode(found) else found


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
