"""Texts that people and other programs wrote, made safe to show: in one line, without controls, not too long."""

import html
import re
import unicodedata
from typing import Final

NAME_CHARACTERS: Final = 80
"""The longest name in a text."""

SUBJECT_NAME_CHARACTERS: Final = 40
"""The longest name in a subject line."""

MESSAGE_CHARACTERS: Final = 1_000
"""The longest message or reason of a person."""

ELLIPSIS: Final = "…"
_ISOLATE_AUTO: Final = "\u2068"
_ISOLATE_END: Final = "\u2069"
_JOINERS: Final = frozenset("\u200c\u200d")
"""Invisible characters that some scripts and emoji need between two others."""

_RIGHT_TO_LEFT: Final = frozenset({"R", "AL"})


class Shown(str):
    """A text from outside, cleaned. In HTML it is escaped, and its direction does not leak into the sentence around."""

    __slots__ = ()

    def __html__(self) -> str:
        """The text in HTML: Jinja calls this where it would escape a plain text."""
        return f"<bdi>{html.escape(self.strip(_ISOLATE_AUTO + _ISOLATE_END))}</bdi>"


def shown(text: str, most_characters: int = NAME_CHARACTERS) -> Shown:
    """Return `text` in one line of at most `most_characters`, and with an ellipsis if something was cut off.

    A text with right-to-left letters is between two invisible characters that keep its direction to itself.
    """
    line = shortened(one_line(text), most_characters) or "(no name)"
    if any(unicodedata.bidirectional(each) in _RIGHT_TO_LEFT for each in line):
        line = f"{_ISOLATE_AUTO}{line}{_ISOLATE_END}"
    return Shown(line)


def one_line(text: str) -> str:
    """Return `text` without line breaks, controls and characters that change the direction of what follows.

    They become spaces, and several spaces become one. Half a surrogate pair, which no mail can hold, becomes U+FFFD.
    """
    return re.sub(r"\s+", " ", "".join(map(_harmless, text))).strip()


def _harmless(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cs":
        return "\ufffd"
    if category in ("Cc", "Zl", "Zp") or (category == "Cf" and character not in _JOINERS):
        return " "
    return character


def shortened(text: str, most_characters: int) -> str:
    """Return at most `most_characters` of `text`. A letter does not lose its accents, nor an emoji its second half."""
    if len(text) <= most_characters:
        return text
    end = most_characters - 1
    while end > 0 and _belongs_before(text[end], text[end - 1]):
        end -= 1
    return text[:end].rstrip() + ELLIPSIS if end else ELLIPSIS


def _belongs_before(character: str, before: str) -> bool:
    """Whether `character` may not be separated from the one before it."""
    return unicodedata.category(character).startswith("M") or character in _JOINERS or before in _JOINERS
