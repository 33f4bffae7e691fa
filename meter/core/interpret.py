"""From parsed JSON to a typed value: which fields count, and why a record is refused (DOMAIN, Metering 6)."""

import re
from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

from meter.core.rejection import Rejected
from meter.core.strict_json import Fields
from schemas.forms import Form
from schemas.metered import HeldSlice, Metered, RebillSlice, SafePoint
from schemas.policy import PolicyRecord

T = TypeVar("T")

SHOWN_CHARACTERS: Final = 64
"""How much of a wrong text a reason quotes."""

OWN: Final = (Metered, SafePoint, RebillSlice, HeldSlice, PolicyRecord)
"""What only the product writes, ticks aside. Its own program chose how often a field is there."""

_TIMES: Final = ("time", "expires_at")
_ZONE: Final = re.compile(r"([Zz]|[+-][0-9]{2}:[0-9]{2})\Z")
# Digits beyond the microsecond must be cut off: the conversion would round them.
_FINER: Final = re.compile(r"(\.[0-9]{6})[0-9]+")
_HALF: Final = re.compile("[\ud800-\udfff]")

_MISSING: Final = re.compile(r"Object missing required field `(?P<field>[^`]+)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_WRONG: Final = re.compile(r"(?P<why>.*) - at `\$\.(?P<path>[^`]*)`", re.DOTALL)
_NO_CHOICE: Final = ("Invalid enum value", "Invalid value")


def interpret(parsed: object, form: Form[T]) -> T | Rejected:
    """Take the fields that count from parsed JSON. Unknown fields are dropped, with any content.

    A field that counts must be there once: programs differ in which of two values they use, and an event must mean the
    same to every reader. Its text must have no half of a surrogate pair: two ids that differ only there would become
    one. A time must be RFC 3339 with its offset.
    """
    if not isinstance(parsed, Fields):
        return _converted(parsed, form)
    kind = parsed.get("type")
    struct = form.structs.get(kind) if isinstance(kind, str) else None
    if struct is None or not isinstance(kind, str):
        return _of_no_type(parsed, form)
    known = dict.fromkeys(("type", *struct.__struct_fields__))
    refused = next(_refusals(parsed, known, "", is_own=issubclass(struct, OWN)), None)
    fields = _kept(parsed, known)
    data = fields.get("data")
    if isinstance(data, Fields) and kind in form.data:
        inner = dict.fromkeys(form.data[kind].__struct_fields__)
        refused = refused or next(_refusals(data, inner, "data.", is_own=False), None)
        fields["data"] = _kept(data, inner)
    if refused is not None:
        return refused
    return _converted(fields, form)


def _refusals(fields: Fields, known: dict[str, None], prefix: str, *, is_own: bool) -> Iterator[Rejected]:
    """Yield the faults of single fields. `is_own`: the record is one of those that only the product writes."""
    for name in known:
        if name in fields.repeated and not is_own:
            yield Rejected("invalid_field", f"{prefix}{name}: is there more than once")
        text = fields.get(name)
        if not isinstance(text, str):
            continue
        if _HALF.search(text):
            yield Rejected("invalid_field", f"{prefix}{name}: {shown(text)} holds half of a surrogate pair")
        if name in _TIMES and not _ZONE.search(text):
            reason = f"{shown(text)} is no RFC 3339 time with its offset from UTC"
            yield Rejected("invalid_field", f"{prefix}{name}: {reason}")


def _kept(fields: Fields, known: dict[str, None]) -> dict[str, object]:
    return {name: _cut(name, fields[name]) for name in known if name in fields}


def _cut(name: str, found: object) -> object:
    return _FINER.sub(r"\1", found) if name in _TIMES and isinstance(found, str) else found


def _of_no_type(parsed: Fields, form: Form[T]) -> T | Rejected:
    if "type" in parsed.repeated:
        return Rejected("invalid_field", "type: is there more than once")
    if isinstance(kind := parsed.get("type"), str):
        return Rejected("unknown_type", f"type: {_no_choice(kind, tuple(form.structs))}")
    return _converted({name: parsed[name] for name in ("type",) if name in parsed}, form)


def _converted(fields: object, form: Form[T]) -> T | Rejected:
    try:
        found: T = msgspec.convert(fields, form.type)
    except msgspec.ValidationError as error:
        return _invalid(str(error), fields, form)
    except (ValueError, OverflowError) as error:
        return Rejected("invalid_field", f"time: {_plain(str(error))}")
    return found


def _invalid(message: str, fields: object, form: Form[T]) -> Rejected:
    if missing := _MISSING.fullmatch(message):
        path = f"{missing['path']}." if missing["path"] else ""
        return Rejected("missing_field", f"{path}{missing['field']}: required field is missing")
    if wrong := _WRONG.fullmatch(message):
        path, why = wrong["path"], wrong["why"]
        if why.startswith(_NO_CHOICE) and path in form.choices:
            why = _no_choice(_at(fields, path), form.choices[path])
        return Rejected("unknown_type" if path == "type" else "invalid_field", f"{path}: {_plain(why)}")
    return Rejected("not_an_event", f"value: {_plain(message)}")


def _at(fields: object, path: str) -> str:
    for name in path.split("."):
        fields = fields.get(name) if isinstance(fields, dict) else None
    return str(fields)


def _no_choice(word: str, choices: tuple[str, ...]) -> str:
    few = ", ".join(choices)
    return f"{shown(word)} is not {few}" if len(choices) == 1 else f"{shown(word)} is not one of {few}"


def shown(text: str) -> str:
    """Quote a text for a reason: its beginning, as text that can be encoded, without backticks."""
    cut = text[:SHOWN_CHARACTERS] + ("..." if len(text) > SHOWN_CHARACTERS else "")
    return '"' + cut.encode("utf-8", "backslashreplace").decode() + '"'


def _plain(message: str) -> str:
    return message.replace("`", "").strip() or "cannot be read"
