"""The parser that decides: which bytes are JSON, and what they say (docs/adr/0019).

Every record from outside means what this parser reads. Faster readers, the codec and the kernel, may accept only what
it reads the same, and hand everything else to it.
"""

import json
import re
from collections import Counter
from typing import Final, NoReturn

from meter.core.rejection import Rejected

MAX_DEPTH: Final = 128
"""How many objects and lists may be nested in each other. The limit must not depend on the machine's stack."""

_BYTE_ORDER_MARK: Final = "\ufeff"
_LONG_NUMBER: Final = 30
_HUGE: Final = 10**_LONG_NUMBER
_BRACKET_OR_TEXT: Final = re.compile(r'[\[\]{}]|"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


class Fields(dict[str, object]):
    """A JSON object. `repeated` are the names that it has more than once; the last value of each is kept."""

    repeated: frozenset[str] = frozenset()


def parse(value: bytes) -> object:
    """Parse JSON in UTF-8 without a byte order mark. Returns a Rejected if the bytes are anything else.

    Half a surrogate pair is accepted in texts. A number of any size is accepted; one that is too large for a float is
    infinite. What a field may hold is for the reader of the field to decide.
    """
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        return Rejected("invalid_utf8", f"value: byte {error.start} is not UTF-8")
    if text.startswith(_BYTE_ORDER_MARK):
        return Rejected("not_json", "value: begins with a byte order mark, which is not JSON: write it without")
    if may_be_deep(value) and _is_deep(text):
        return Rejected("not_json", f"value: is nested too deeply, in more than {MAX_DEPTH} levels")
    try:
        return json.loads(text, object_pairs_hook=_fields, parse_int=_integer, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        byte = len(text[: error.pos].encode())
        return Rejected("not_json", f"value: JSON is malformed: {error.msg.lower()} (byte {byte})")
    except _NotANumberError as error:
        return Rejected("not_json", f"value: JSON is malformed: {error} is no number")


def may_be_deep(value: bytes) -> bool:
    """Whether the value has so many brackets that it can be nested too deeply. False is certain."""
    return value.count(b"{") + value.count(b"[") > MAX_DEPTH


def _is_deep(text: str) -> bool:
    depth = 0
    for found in _BRACKET_OR_TEXT.finditer(text):
        first = text[found.start()]
        depth += (first in "[{") - (first in "]}")
        if depth > MAX_DEPTH:
            return True
    return False


class _NotANumberError(Exception):
    """NaN or Infinity, which Python's parser knows and JSON does not."""


def _refuse(word: str) -> NoReturn:
    raise _NotANumberError(word)


def _fields(pairs: list[tuple[str, object]]) -> Fields:
    fields = Fields(pairs)
    if len(fields) < len(pairs):
        fields.repeated = frozenset(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    return fields


def _integer(digits: str) -> int:
    """Read a number; one with many digits becomes another that is too large for every field. Python limits `int`."""
    return int(digits) if len(digits) < _LONG_NUMBER else -_HUGE if digits.startswith("-") else _HUGE
