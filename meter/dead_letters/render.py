"""Dead letters as a table and in full for people, and as JSON for programs.

Any client can write a refused record, so all of its text passes through `printable`: no terminal acts on it.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import orjson
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from meter.dead_letters.inventory import Letter, Letters
from schemas.dead_letters import DeadLetter
from schemas.instants import rfc3339

SHOWN_BYTES: Final = 64 * 1024
"""How much of a payload is shown. `dead-letters show --raw` writes all of it."""

PIPE_WIDTH: Final = 240
"""The table's width where there is no terminal, so that a letter is one line of a usual length."""

SHOWN_HEADERS: Final = 20
SHOWN_HEADER_BYTES: Final = 512
"""How many headers of a record are shown, and how much of each value."""

_HEX_BYTES: Final = 16


def table(letters: Letters, shown: Sequence[Letter], older: int) -> None:
    """Print one letter a row, then how many letters there are of each code. `older` is how many were left out."""
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("letter", "code", "refused at"):
        grid.add_column(name, no_wrap=True)
    grid.add_column("bytes", justify="right", no_wrap=True)
    grid.add_column("status", overflow="fold")
    grid.add_column("reason", overflow="fold")
    for each in shown:
        size = "null" if each.size_bytes is None else f"{each.size_bytes:,}"
        cells = (each.letter_id, each.code, rfc3339(each.refused_ms), size, letters.status(each.letter_id), each.reason)
        grid.add_row(*(Text(printable(cell)) for cell in cells))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    console.print(grid)
    codes = Counter(each.code for each in letters.by_id.values())
    counts = ", ".join(f"{count} {printable(code)}" for code, count in sorted(codes.items()))
    console.print(f"{len(letters.by_id)} dead letters in all: {counts}" if codes else "no dead letters", markup=False)
    if older:
        console.print(f"{older} more that fit are older: --limit {len(shown) + older} shows them")


def line(letters: Letters, letter: Letter) -> bytes:
    """Encode one letter as JSON, without a line end. A field without a value is null."""
    replay = letters.replays.get(letter.letter_id)
    found: dict[str, Any] = {
        "id": letter.letter_id,
        "code": letter.code,
        "reason": letter.reason,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "key": None if letter.key is None else letter.key.decode("utf-8", "backslashreplace"),
        "bytes": letter.size_bytes,
        "refused_at": rfc3339(letter.refused_ms),
        "status": letters.status(letter.letter_id),
        "replayed_at": rfc3339(replay.replayed_ms) if replay and replay.location else None,
        "replayed_as": (replay.location or None) if replay else None,
        "replay_of": letter.replay_of or None,
        "headers": letter.header_count,
        "shortened": letter.shortened or None,
    }
    return orjson.dumps(found)


def status(letters: Letters, letter: Letter) -> str:
    """Return a letter's status as text, with the location of the record that was put back, if there is one."""
    word, replay = letters.status(letter.letter_id), letters.replays.get(letter.letter_id)
    return f"{word}: {replay.location}" if replay and replay.location else word


def details(letters: Letters, letter: Letter, original: DeadLetter) -> str:
    """Return all that is known of a letter, one field a line, then its payload.

    `original` is the refused record, or what is left of it.
    """
    replay = letters.replays.get(letter.letter_id)
    rows = [
        ("letter", letter.letter_id),
        ("code", letter.code),
        ("reason", letter.reason),
        ("refused at", rfc3339(letter.refused_ms)),
        ("key", "null" if letter.key is None else letter.key.decode("utf-8", "backslashreplace")),
        ("bytes", "null" if original.value_bytes is None else f"{original.value_bytes:,}"),
        ("status", status(letters, letter)),
    ]
    if replay is not None:
        rows.append(("claimed at", rfc3339(replay.claimed_ms)))
        if replay.location:
            rows.append(("replayed at", rfc3339(replay.replayed_ms)))
    if letter.replay_of:
        rows.append(("replay of", letter.replay_of))
    rows += [("header", _header(name, value)) for name, value in original.source_headers[:SHOWN_HEADERS]]
    if letter.header_count > SHOWN_HEADERS:
        rows.append(("headers", f"{letter.header_count:,} in all"))
    if letter.shortened:
        rows.append(("shortened", lost(original) if original.is_shortened else f"{letter.shortened}, read again whole"))
    head = "\n".join(f"{name:12}{printable(text)}" for name, text in rows)
    return f"{head}\n\n{payload(original.value)}"


def _header(name: str, value: bytes | None) -> str:
    if value is None:
        return f"{name}: null"
    more = "..." if len(value) > SHOWN_HEADER_BYTES else ""
    return f"{name}: {value[:SHOWN_HEADER_BYTES].decode('utf-8', 'backslashreplace')}{more}"


def lost(letter: DeadLetter) -> str:
    """Say what a shortened letter holds, and that its record does not lie any more where it was refused."""
    parts = letter.whole.parts.replace(",", ", ") if letter.whole else ""
    return (
        f"{letter.letter_id} was too large for its dead letter, which has only the beginning of its {parts}, "
        "and the record does not lie there any more"
    )


def is_cut(letter: DeadLetter, part: str) -> bool:
    """Whether the letter has only the beginning of a part: `key`, `value` or `headers`."""
    return letter.whole is not None and part in letter.whole.parts.split(",")


def payload(value: bytes | None) -> str:
    """Return a payload as text: JSON with one field a line and no other change, or plain UTF-8, or a hex dump.

    Shows at most SHOWN_BYTES and says how many bytes are left out.
    """
    if value is None:
        return "The record had no value."
    cut = "" if len(value) <= SHOWN_BYTES else f"\n... {len(value) - SHOWN_BYTES:,} bytes more: --raw gives them all"
    value = value[:SHOWN_BYTES]
    try:
        text = msgspec.json.format(value, indent=2).decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # The cut may have split the last character. That alone must not turn text into a hex dump.
        whole = value.decode("utf-8", "ignore") if cut else value.decode("utf-8", "surrogateescape")
        text = hexdump(value) if any("\udc80" <= character <= "\udcff" for character in whole) else whole
    return "\n".join(printable(row) for row in text.split("\n")) + cut


def hexdump(value: bytes) -> str:
    """Return 16 bytes a line: the offset, the bytes in hex, and as text, with a dot for each that is not ASCII."""
    rows = []
    for at in range(0, len(value), _HEX_BYTES):
        part = value[at : at + _HEX_BYTES]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        rows.append(f"{at:08x}  {part.hex(' '):{3 * _HEX_BYTES}} {text}")
    return "\n".join(rows)


def printable(text: str) -> str:
    """Escape every character that could move a cursor, change a colour or reverse the direction of a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
