"""Whether a refused record can be put back whole: its value and its headers are all there, and a topic takes them."""

from typing import Final

from meter.dead_letters import render
from meter.dead_letters.inventory import Letter
from meter.dead_letters.replay import NotPutBackError
from schemas.dead_letters import DeadLetter
from schemas.headers import Headers, size_of
from schemas.moves import left_out_headers
from schemas.replays import MARK_BYTES, Claim
from schemas.shortened_letters import BATCH_BYTES
from schemas.topics import MAX_RECORD_BYTES

KEY_BYTES: Final = 2 * 1024
"""The longest record key, a workspace's id."""

WITHOUT: Final = "--without-headers puts it back without any headers"


def value_to_put_back(letter: Letter, original: DeadLetter, mended: bytes | None) -> bytes | None:
    """Return the bytes to put back: `mended`, or else those that were refused.

    Raises NotPutBackError if only a part of the refused ones is there, or if a topic would not take them.
    """
    if mended is None and render.is_cut(original, "value"):
        raise NotPutBackError(f"{render.lost(original)}: give its bytes with --file")
    value = original.value if mended is None else mended
    if (size_bytes := _written_bytes(value, ())) > MAX_RECORD_BYTES:
        raise NotPutBackError(
            f"{letter.letter_id} would take {size_bytes:,} bytes with the headers of a replay, and a topic takes "
            f"{MAX_RECORD_BYTES:,}: give smaller bytes with --file"
        )
    return value


def headers_to_put_back(letter: Letter, original: DeadLetter, value: bytes | None, *, without: bool) -> Headers:
    """Return the headers to put back with `value`: all that the refused record had.

    Raises NotPutBackError if some of them are gone, or if a topic would not take them all; with `without`, returns no
    headers then.
    """
    headers = original.source_headers
    if render.is_cut(original, "headers"):
        reason = render.lost(original)
    elif count := left_out_headers(headers) if letter.moved_from else 0:
        reason = f"{letter.letter_id} was too large to be moved with {count} of its headers"
    elif (size_bytes := _written_bytes(value, headers)) > MAX_RECORD_BYTES:
        reason = f"{letter.letter_id} would take {size_bytes:,} bytes, and a topic takes {MAX_RECORD_BYTES:,}"
    else:
        return headers
    if without:
        return ()
    raise NotPutBackError(f"{reason}: {WITHOUT}")


def _written_bytes(value: bytes | None, headers: Headers) -> int:
    """How many bytes a record takes with the marks of a replay, at most."""
    marks = Claim("x" * MARK_BYTES, "x" * MARK_BYTES, b"").marks()
    return len(value or b"") + KEY_BYTES + size_of([*headers, *marks]) + BATCH_BYTES
