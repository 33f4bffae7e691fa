"""Recognising what looks like the number of a payment card, so that none is kept."""

import re
import unicodedata
from itertools import accumulate
from typing import Final

FEWEST_DIGITS: Final = 13
MOST_DIGITS: Final = 19

_RUN: Final = re.compile(r"[0-9][0-9 -]*")


def looks_like_card_number(text: str) -> bool:
    """Whether a text has 13 to 19 digits in a row whose last one is the check digit of those before (ISO 7812).

    Blanks and dashes between the digits do not count. Digits that stand together are one group; a number is one group
    or several, so that an expiry behind it hides nothing.
    """
    return any(map(_has_number, _RUN.findall("".join(map(_plain, text)))))


def _plain(character: str) -> str:
    """A digit of any script in ASCII, any blank as a space, any dash as a hyphen."""
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    if character.isspace():
        return " "
    return "-" if unicodedata.category(character) == "Pd" else character


def _has_number(run: str) -> bool:
    groups = re.findall("[0-9]+", run)
    for first in range(len(groups)):
        for digits in accumulate(groups[first:]):
            if len(digits) > MOST_DIGITS:
                break
            if len(digits) >= FEWEST_DIGITS and _is_checked(digits):
                return True
    return False


def _is_checked(digits: str) -> bool:
    """Whether the last digit is the check digit: every second one, from the last but one on, counts twice."""
    total = 0
    for number, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + number % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
