"""What can go wrong with a record on its way: each mutation makes a damaged one of a real one.

A mutation may leave a record valid; whether it did is for the oracle to say.
"""

import json
from collections.abc import Callable
from random import Random
from typing import Final

from tests.feeds.lines import DAY_MS, MINUTE_MS, millis, stamp, time_of
from tests.fuzz.odd import NUMBERS, TEXTS, TIMES, VALUES, nested
from tests.fuzz.records import as_record, changed, dumped, fields, leaves, odd

Mutation = Callable[[Random, bytes, bytes], bytes | None]
"""(rng, a record, another one) -> the damaged record."""

CONTROLS: Final = bytes([*range(0x20), 0x7F, 0x80, 0xC0, 0xED, 0xFE, 0xFF])
WHOLE: Final = (None, b"", b" ", b"null", b"[]", b"{}", b"42", b'"text"', b"NaN", b"{", b"\x00", b"\xff\xfe", b"{}{}")
SHIFTS_MS: Final = [
    sign * limit_ms + more_ms
    for limit_ms in (0, 5 * MINUTE_MS, 15 * MINUTE_MS, DAY_MS, 2 * DAY_MS)
    for more_ms in (-1, 0, 1)
    for sign in (1, -1)
]
"""To either side of the limits that the rules have."""

SHIFTABLE_MS: Final = (millis(2000, 1, 1), millis(2100, 1, 1))

JUNK: Final = (b"\xff", b"\xc0\xaf", b"\xed\xa0\xbd", b"\xf4\x90\x80\x80", b"\xe2\x28\xa1", b"\x80", b"\xc3")
LITERALS: Final = (
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"undefined",
    b"True",
    b"01",
    b"1.",
    b".5",
    b"+1",
    b"0x10",
    b"'x'",
)


def flip_bits(rng: Random, value: bytes, _other: bytes) -> bytes:
    """One to four bits of it turned over."""
    damaged = bytearray(value)
    for _ in range(rng.randint(1, 4)):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def overwrite(rng: Random, value: bytes, _: bytes) -> bytes:
    """A byte replaced by one that means something in JSON."""
    at = rng.randrange(len(value))
    return value[:at] + bytes([rng.choice(b'"{}[]:,\\ 0-.eEtfn')]) + value[at + 1 :]


def truncate(rng: Random, value: bytes, _: bytes) -> bytes:
    """The end is missing, or the beginning."""
    at = rng.randrange(len(value))
    return value[:at] if rng.random() < 0.8 else value[at:]


def cut_out(rng: Random, value: bytes, _: bytes) -> bytes:
    """A piece is missing, or is there twice."""
    start, end = sorted(rng.sample(range(len(value) + 1), 2))
    return value[:start] + value[end:] if rng.random() < 0.5 else value[:end] + value[start:]


def splice(rng: Random, value: bytes, other: bytes) -> bytes:
    """The beginning of one record with the end of another, or one after the other."""
    if rng.random() < 0.2:
        return value + rng.choice((b"", b"\n", b",", b" ")) + other
    at = rng.randrange(min(len(value), len(other)))
    return value[:at] + other[at if rng.random() < 0.5 else rng.randrange(len(other)) :]


def control_characters(rng: Random, value: bytes, _: bytes) -> bytes:
    """Bytes that do not belong, somewhere."""
    at = rng.randrange(len(value) + 1)
    return value[:at] + bytes(rng.choices(CONTROLS, k=rng.randint(1, 3))) + value[at:]


def invalid_utf8(rng: Random, value: bytes, _: bytes) -> bytes:
    """A sequence that is no UTF-8: in a text that counts, or in one that no reader uses."""
    if rng.random() < 0.5:
        return value[:-1] + b',"note":"' + rng.choice(JUNK) + b'"}'
    at = rng.randrange(len(value) + 1)
    return value[:at] + rng.choice(JUNK) + value[at:]


def other_encoding(rng: Random, value: bytes, _: bytes) -> bytes:
    """The whole record in an encoding that is not ours, or behind a mark that names it."""
    text = value.decode("utf-8", "replace").replace("web", "wéb")
    encoding = rng.choice(("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "utf-7", "cp037"))
    return text.encode(encoding, "replace")


def whole(rng: Random, _value: bytes, _other: bytes) -> bytes | None:
    """Something else altogether, or nothing."""
    return rng.choice(WHOLE)


def literal(rng: Random, value: bytes, _: bytes) -> bytes:
    """A value that JavaScript or Python would take, and JSON does not know."""
    word = rng.choice(LITERALS)
    if rng.random() < 0.3:
        return value[:-1] + b',"note":' + word + b"}"
    field = rng.choice([json.dumps(text).encode() for _, text in leaves(as_record(value))] or [b'"web"'])
    return value.replace(field, word, 1)


def trailing(rng: Random, value: bytes, _: bytes) -> bytes:
    """White space that is allowed, commas and comments that are not."""
    extra = rng.choice((b" ", b"\n\t\r ", b",", b"}", b"//x", b"/**/", b"\x00", b"\xc2\xa0", b"\xef\xbb\xbf", b";"))
    return value + extra if rng.random() < 0.5 else extra + value


def too_large(rng: Random, value: bytes, _: bytes) -> bytes:
    """Around the limit of 1 MiB, to the byte."""
    head = value[:-1] + b',"note":"'
    return head + b"x" * (2**20 + rng.choice((-1, 0, 1, 1000)) - len(head) - 2) + b'"}'


def deep(rng: Random, value: bytes, _: bytes) -> bytes:
    """Nesting, in a field that no reader uses or in one that counts."""
    depth = rng.choice((10, 200, 5_000, 100_000))
    if rng.random() < 0.5:
        return value[:-1] + b',"note":' + nested(rng, depth) + b"}"
    return value.replace(b'"data":{', b'"data":' + nested(rng, depth) + b',"data":{', 1)


def duplicate_field(rng: Random, value: bytes, other: bytes) -> bytes:
    """A field that is there twice, with the same or another value, first or last."""
    record, source = as_record(value), as_record(other)
    inside = rng.random() < 0.5 and isinstance(record.get("data"), dict)
    target = record["data"] if inside else record
    if not target:
        return value
    name = rng.choice(list(target))
    own = source.get("data") if inside else source
    again = rng.choice((target[name], own.get(name) if isinstance(own, dict) else None, rng.choice(VALUES)))
    pair = f"{json.dumps(name)}:{json.dumps(again)}".encode()
    start = value.find(b'"data":{') + len(b'"data":') if inside else 0
    if rng.random() < 0.5:
        return value[: start + 1] + pair + b"," + value[start + 1 :]
    end = value.rfind(b"}}") if inside else len(value) - 1
    return value[:end] + b"," + pair + value[end:]


def retype(rng: Random, value: bytes, _: bytes) -> bytes:
    """A value of another type, or out of its range."""
    return changed(rng, value, lambda _: rng.choice(NUMBERS) if rng.random() < 0.4 else rng.choice(VALUES))


def odd_text(rng: Random, value: bytes, _: bytes) -> bytes:
    """A text that is empty, huge, half a character, or looks like another one."""
    return changed(rng, value, lambda old: odd(rng, old))


def odd_time(rng: Random, value: bytes, _: bytes) -> bytes:
    """Times as people and programs get them wrong."""
    record = as_record(value)
    data = record.get("data")
    if "expires_at" in value.decode("latin-1") and isinstance(data, dict) and rng.random() < 0.5:
        data["expires_at"] = rng.choice(TIMES)
    else:
        at_ms, shift_ms, zone = time_of(value), rng.choice(SHIFTS_MS), rng.choice((0, 60, -570, 839))
        is_ours = at_ms is not None and SHIFTABLE_MS[0] < at_ms < SHIFTABLE_MS[1]
        record["time"] = stamp((at_ms or 0) + shift_ms, zone) if is_ours and rng.random() < 0.6 else rng.choice(TIMES)
    return dumped(rng, record)


def remove_field(rng: Random, value: bytes, _: bytes) -> bytes:
    """A field is missing, or has another name."""
    record = as_record(value)
    holder, name = rng.choice(fields(record) or [(record, "x")])
    found = holder.pop(name, None)
    if rng.random() < 0.3:
        holder[rng.choice((name.upper(), f" {name}", f"{name}\u200b", name.replace("_", "-"), ""))] = found
    return dumped(rng, record)


def other_type(rng: Random, value: bytes, other: bytes) -> bytes:
    """The envelope of one record around the data of another."""
    record, source = as_record(value), as_record(other)
    name = rng.choice(("type", "data", "specversion", "id", "source"))
    record[name] = source.get(name, rng.choice(VALUES))
    return dumped(rng, record)


def rewritten(rng: Random, value: bytes, _: bytes) -> bytes:
    """Other bytes that mean the same, with unknown fields."""
    record = as_record(value)
    record[rng.choice(("text", "note", "traceparent", "datacontenttype"))] = rng.choice((*VALUES, *TEXTS))
    items = list(record.items())
    rng.shuffle(items)
    return dumped(rng, dict(items))


ANY: Final[tuple[Mutation, ...]] = (
    *(flip_bits, overwrite, truncate, cut_out, splice, control_characters, invalid_utf8, other_encoding, literal),
    *(trailing, duplicate_field, retype, retype, odd_text, odd_text, odd_time, remove_field, other_type, rewritten),
)
RARE: Final[tuple[Mutation, ...]] = (whole, deep, too_large)
"""Costly, or of few kinds."""

RARELY: Final = 0.01


def mutated(rng: Random, value: bytes, other: bytes) -> bytes | None:
    """The record damaged once, sometimes twice."""
    if rng.random() < RARELY:
        return rng.choice(RARE)(rng, value, other)
    damaged = rng.choice(ANY)(rng, value, other)
    if damaged and rng.random() < 0.2:
        return rng.choice(ANY)(rng, damaged, other)
    return damaged
