"""Taking a record apart and writing it again, as programs do it."""

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from tests.fuzz.odd import TEXTS


def as_record(value: bytes) -> dict[str, Any]:
    """The record as JSON; an empty one where it is none any more."""
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def dumped(rng: Random, record: dict[str, Any]) -> bytes:
    """JSON in one of the ways in which programs write it."""
    separators = rng.choice(((",", ":"), (", ", ": "), (" ,\n", "\t: ")))
    text = json.dumps(record, ensure_ascii=rng.random() < 0.7, separators=separators)
    return text.encode("utf-8", "surrogatepass")


def fields(record: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Every field of the envelope and of its data, with what holds it."""
    data = record.get("data")
    inner = [(data, name) for name in data] if isinstance(data, dict) else []
    return [*((record, name) for name in record), *inner]


def leaves(record: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fields that hold a text or a number."""
    for holder, name in fields(record):
        if not isinstance(holder[name], dict | list):
            yield name, holder[name]


def changed(rng: Random, value: bytes, change: Callable[[Any], Any]) -> bytes:
    """The record with one field changed."""
    record = as_record(value)
    found = fields(record)
    if found:
        holder, name = rng.choice(found)
        holder[name] = change(holder[name])
    return dumped(rng, record)


def odd(rng: Random, old: Any) -> Any:
    """A text that is not what it was, by little or by all."""
    if isinstance(old, str) and old and rng.random() < 0.5:
        at = rng.randrange(len(old) + 1)
        return old[:at] + rng.choice(TEXTS)[:600] + old[at:]
    return rng.choice(TEXTS)
