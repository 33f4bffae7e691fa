"""JSON as programs and people write it: escapes anywhere, odd numbers and white space, doubled and unknown fields."""

import json
from random import Random
from typing import Any, Final

from tests.fuzz.odd import TIMES

SPACES: Final = ("",) * 12 + (" ", "\n", "\t", "\r\n", "  ")
SHORT: Final = {"\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t", '"': '"', "\\": "\\", "/": "/"}
NUMBERS: Final = (
    *(
        "0",
        "-0",
        "1",
        "-1",
        "1e400",
        "-1E+400",
        "1e-400",
        "0.1",
        "5E0",
        "1.0",
        "12345678901234567890",
        "9" * 50,
        "9" * 5_000,
    ),
    *("-" + "9" * 40, "1e22", "0e0", "0.0000000", "2.1234567"),
)
WRONG: Final = ("NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1", "-", "1e", "tru", "'x'", "", "\ufeff", "\x0b1")
HALVES: Final = ("\ud83d", "\ude00", "cut \ud83d", "\ud83d\ud83d\ude00", "\ude00\ud83d", "\ud83dx", "\\\ud83d")
WORDS: Final = (
    *(
        "",
        "x",
        "é",
        "\u20ac",
        "\U0001f600",
        "\u0000",
        "\x7f",
        "\u2028",
        '"',
        "\\",
        '"time":"2026-09-01T00:00:00Z"',
        "time",
    ),
    *('\\"time\\"', "\\u0074ime", "\\", '"', ".1234567", "data", '"type":"billing.x"', "billing."),
)
NAMES: Final = (
    "text",
    "note",
    "time",
    "type",
    "data",
    "channel",
    "id",
    "Time",
    "",
    "expires_at",
    "workspace_id",
    "\ud83d",
)
FINE: Final = ("999999Z", ".1234567Z", ".9999999Z", ".000Z", "Z", "z", "+00:00", "+0100", "-00:00", ":60Z")


def odd_text(rng: Random, record: dict[str, Any]) -> str:
    """The record in one of the ways in which JSON can say it, or nearly."""
    odd = Writer(rng)
    text = odd.fields(record, at_top=True)
    if rng.random() < 0.05:
        return rng.choice(("\ufeff", " ", "\x00", "[", "//")) + text
    return text + rng.choice(("",) * 40 + (" ", "\r", ",", "}", "\x00"))


class Writer:
    """Writes values. How odd it is as a whole is drawn once, so that some records are plain but for one thing."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.escapes = rng.choice((0, 0, 0.02, 0.5))
        self.spaces = rng.choice((0, 0, 1))
        self.unknown = rng.choice((0, 0.1, 0.4))
        self.changed = rng.choice((0, 0.1))
        self.doubled = rng.choice((0, 0, 0.05))

    def fields(self, record: dict[str, Any], *, at_top: bool = False) -> str:
        pairs: list[str] = []
        for name, value in record.items():
            if self.rng.random() < self.unknown:
                pairs.append(self.pair(self.rng.choice(NAMES), self.junk()))
            if self.rng.random() < self.doubled:
                pairs.append(self.pair(name, self.junk()))
            pairs.append(self.pair(name, self.field(name, value)))
        if not at_top or self.rng.random() < 0.5:
            self.rng.shuffle(pairs)
        return "{" + f"{self.space()},{self.space()}".join(pairs) + self.space() + "}"

    def pair(self, name: str, value: str) -> str:
        return f"{self.space()}{self.text(name)}{self.space()}:{self.space()}{value}"

    def field(self, name: str, value: Any) -> str:
        if isinstance(value, dict):
            return self.fields(value)
        if name in ("time", "expires_at") and self.rng.random() < 0.4:
            stem = str(value)[:19]
            return self.text(stem + self.rng.choice(FINE) if self.rng.random() < 0.8 else str(self.rng.choice(TIMES)))
        if self.rng.random() < self.changed:
            return self.junk()
        return self.text(value) if isinstance(value, str) else json.dumps(value)

    def junk(self) -> str:
        """A value of any kind; seldom one that is not JSON."""
        kind = self.rng.random()
        if kind < 0.3:
            return self.text(self.rng.choice(HALVES))
        if kind < 0.5:
            return self.text("".join(self.rng.choices(WORDS, k=2)))
        if kind < 0.75:
            return self.rng.choice(NUMBERS)
        if kind < 0.985:
            depth = self.rng.choice((1, 2, 3, 60, 125, 126, 127, 128, 129, 400))
            return "[" * depth + self.rng.choice(("", "1", '"]["')) + "]" * depth
        return self.rng.choice(
            (*WRONG, "null", "true", "false", "[1,]", '{"a":1,}', '{"a" 1}', '"\x01"', '"\\x"', '"\\u12"')
        )

    def text(self, text: str) -> str:
        return '"' + "".join(self.character(each) for each in text) + '"'

    def character(self, one: str) -> str:
        code = ord(one)
        if self.rng.random() < self.escapes or code < 0x20 or one in '"\\' or 0xD800 <= code < 0xE000:
            if one in SHORT and self.rng.random() < 0.5:
                return "\\" + SHORT[one]
            units = one.encode("utf-16-be", "surrogatepass").hex()
            case = self.rng.choice((str.lower, str.upper))
            return "".join("\\u" + case(units[at : at + 4]) for at in range(0, len(units), 4))
        return one

    def space(self) -> str:
        return self.rng.choice(SPACES) if self.spaces else ""
