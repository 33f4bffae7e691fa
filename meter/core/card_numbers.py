"""Refusing a payment method that holds what looks like the number of a card. The refusal does not repeat it."""

from collections.abc import Iterator, Mapping

import msgspec

from meter.core.rejection import Rejected
from meter.core.strict_json import parse
from schemas.card_numbers import looks_like_card_number
from schemas.payment_commands import MethodData, MethodSaved


def card_number_refusal(data: MethodData) -> Rejected | None:
    """Return the refusal of a method with a card number in a field that counts; None if there is none."""
    return _refusal(msgspec.to_builtins(data))


def raw_card_number_refusal(value: bytes) -> Rejected | None:
    """Return the refusal of a record, whose `data` has a card number in any field, also in one that does not count."""
    parsed = parse(value)
    return _refusal(parsed.get("data")) if isinstance(parsed, dict) else None


def card_number_in(found: object, value: bytes) -> Rejected | None:
    """Return the refusal of a payment method with a card number in any field; None for all else that was read.

    Called for each record from outside, before it gets to the topic of inputs, which is kept for ever. `found` is what
    was read from `value`.
    """
    return raw_card_number_refusal(value) if isinstance(found, MethodSaved) else None


def _refusal(data: object) -> Rejected | None:
    for field, text in _texts(data, "data"):
        if looks_like_card_number(text):
            reason = f"{field}: looks like the number of a card; send the gateway's id and the last four digits"
            return Rejected("card_number", reason)
    return None


def _texts(found: object, path: str) -> Iterator[tuple[str, str]]:
    """The texts and numbers within a value, each with the path of its field. The names of fields count as texts."""
    if isinstance(found, Mapping):
        for name, value in found.items():
            is_plain = isinstance(name, str) and name.isidentifier() and len(name) <= 64
            yield path, str(name)
            yield from _texts(value, f"{path}.{name}" if is_plain else path)
    elif isinstance(found, list | tuple):
        for value in found:
            yield from _texts(value, path)
    elif isinstance(found, str | int | float):
        yield path, str(found)
