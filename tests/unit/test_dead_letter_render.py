"""How a dead letter is shown: nothing of it hidden, and nothing of it obeyed by a terminal."""

import json

import pytest

from meter.cli.since import Since
from meter.dead_letters.inventory import Letter, Letters, Replay
from meter.dead_letters.render import SHOWN_BYTES, details, line, payload, printable, table
from schemas.dead_letters import DeadLetter
from schemas.instants import DAY_MS
from schemas.replays import Claim
from tests.feeds.lines import millis

LETTER = Letter("chat-events/3/7", "late", "time: \x1b[31mlate", "chat-events", 3, 7, b"\xffw", 5, 0, "", (1, 2))
WAITING = Letters({LETTER.letter_id: LETTER}, {})
REPLAYED = Letters(
    WAITING.by_id, {LETTER.letter_id: Replay(Claim(LETTER.letter_id, "n", b""), 1, "chat-events/3/9", 2)}
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "The record had no value."),
        (b"", ""),
        (b'{"a":1,"a":2.50,"b":[]}', '{\n  "a": 1,\n  "a": 2.50,\n  "b": []\n}'),
        (b'{"a":', '{"a":'),
        ("Zürich\tis\x1b[2J\u202eup".encode(), "Zürich\\tis\\x1b[2J\\u202eup"),
        (b"a\xff\x00", f"00000000  {'61 ff 00':48} a.."),
    ],
)
def test_payload_is_shown_as_it_is(value: bytes | None, shown: str) -> None:
    """JSON in lines, every digit and repeated field as it came; text with escapes for what is no letter; else hex."""
    assert payload(value) == shown


def test_large_payload_is_cut_and_says_so() -> None:
    """In the middle of a character too, and text remains text."""
    text = "ü" * SHOWN_BYTES
    shown, _, more = payload(b"x" + text.encode()).partition("\n")
    assert shown == "x" + "ü" * (SHOWN_BYTES // 2 - 1)
    assert more == f"... {SHOWN_BYTES + 1:,} bytes more: --raw gives them all"


def test_nothing_moves_the_cursor() -> None:
    """For any characters, what is shown is printable, and says which they were."""
    every = "".join(chr(code) for code in range(0x3000))
    assert printable(every).isprintable()
    assert printable("\x9b\u2028ü") == "\\x9b\\u2028ü"


def test_machines_are_told_everything(capsys: pytest.CaptureFixture[str]) -> None:
    """One line of JSON; people see the same without control characters."""
    told = json.loads(line(REPLAYED, LETTER))
    assert (told["id"], told["topic"], told["partition"], told["offset"]) == ("chat-events/3/7", "chat-events", 3, 7)
    assert (told["code"], told["reason"], told["key"], told["bytes"]) == ("late", "time: \x1b[31mlate", "\\xffw", 5)
    assert (told["status"], told["replayed_as"]) == ("replayed", "chat-events/3/9")
    assert (told["refused_at"], told["replayed_at"]) == ("1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.002Z")
    table(WAITING, [LETTER], older=3)
    shown = capsys.readouterr().out
    assert "time: \\x1b[31mlate" in shown
    assert "1 dead letters in all: 1 late" in shown
    assert "--limit 4" in shown


def test_details_name_the_replay() -> None:
    """When it was put back, and as which record."""
    refused = DeadLetter("late", "time: late", "chat-events", 3, 7, b"w", b"[]")
    shown = details(REPLAYED, LETTER, refused)
    assert "status      replayed: chat-events/3/9\n" in shown
    assert "replayed at 1970-01-01T00:00:00.002Z\n" in shown
    assert shown.endswith("\n\n[]")


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2026-11-20", millis(2026, 11, 20)),
        ("2026-11-20T01:00:00+01:00", millis(2026, 11, 20)),
        ("2026-11-20T00:00:00Z", millis(2026, 11, 20)),
        ("2d", millis(2026, 11, 18)),
        ("48h", millis(2026, 11, 18)),
        ("2880m", millis(2026, 11, 18)),
    ],
)
def test_since_is_an_age_or_a_time(text: str, at_ms: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day without a zone is UTC's."""
    monkeypatch.setattr("meter.cli.since.time.time", lambda: (at_ms + 2 * DAY_MS) / 1000)
    assert Since().convert(text, None, None) == at_ms
