"""Bodies of requests: read within limits, and cut into the bytes of single CloudEvents.

What the bytes of one event mean is decided by `meter/core/decode.py`; here they are only found.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec
from starlette.requests import Request

from meter.gateway.problems import ProblemError

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
"""The largest body, 4 MiB: of four of the largest events."""

MAX_BATCH: Final = 1_000
"""The most events of one body."""

BODY_S: Final = 10.0
"""How long a client may take to send its body."""

SINGLE: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
NDJSON: Final = "application/x-ndjson"
JSON: Final = "application/json"
"""Like SINGLE, or like BATCH if it begins with a bracket."""

_SPACE: Final = b" \t\r\n"
_list_of_raw = msgspec.json.Decoder(list[msgspec.Raw]).decode
# Only the ends of values matter here, so numbers are not converted.
_scan = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode


class Body(NamedTuple):
    """The bytes of each event of a body, and whether the client sent a batch, also one of a single event."""

    values: list[bytes]
    is_batch: bool


async def read_body(request: Request, hold: Callable[[int], None], body_s: float = BODY_S) -> Body:
    """Read a request's body and cut it. `hold` is called with the bytes as they come.

    Raises ProblemError: 415 for another type or an encoding, 413 for a body that is too large, 408 for one that comes
    too slowly, 400 for one that cannot be cut.
    """
    kind = _kind(request)
    data = await _received(request, hold, body_s)
    values, is_batch = cut(data, kind)
    if len(values) > MAX_BATCH:
        raise ProblemError(413, "too_many", f"the body has {len(values)} events; send at most {MAX_BATCH} at once")
    if not values:
        raise ProblemError(400, "empty", "the body has no event")
    return Body(values, is_batch)


def _kind(request: Request) -> str:
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    if kind not in (SINGLE, BATCH, NDJSON, JSON):
        raise ProblemError(415, "unsupported_type", f"content-type: send {SINGLE}, {BATCH} or {NDJSON}")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if charset not in ("", "utf-8", "utf8"):
        raise ProblemError(415, "unsupported_type", "content-type: the only charset is utf-8")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ProblemError(415, "unsupported_encoding", "content-encoding: send the body uncompressed")
    return kind


async def _received(request: Request, hold: Callable[[int], None], body_s: float) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and len(length) < 20 and int(length) > MAX_BODY_BYTES:
        raise _too_large()
    data = bytearray()
    try:
        async with asyncio.timeout(body_s):
            async for chunk in request.stream():
                if len(data) + len(chunk) > MAX_BODY_BYTES:
                    raise _too_large()
                hold(len(chunk))
                data += chunk
    except TimeoutError:
        raise ProblemError(
            408, "too_slow", f"the body did not come within {body_s:g} s", headers={"Connection": "close"}
        ) from None
    return bytes(data)


def _too_large() -> ProblemError:
    detail = f"the body is larger than {MAX_BODY_BYTES} bytes; send fewer events at once"
    return ProblemError(413, "too_large", detail, headers={"Connection": "close"})


def cut(data: bytes, kind: str) -> Body:
    """Cut a body of a type into the bytes of its events. Raises ProblemError where an array has no such cut."""
    if kind == NDJSON:
        return Body([line for line in data.split(b"\n") if line.strip(_SPACE)], True)
    if kind == BATCH or (kind == JSON and data.lstrip(_SPACE).startswith(b"[")):
        return Body(cut_array(data), True)
    return Body([data] if data.strip(_SPACE) else [], False)


def cut_array(data: bytes) -> list[bytes]:
    """Return the bytes of each value of a JSON array.

    The codec cuts fast, but refuses half of a surrogate pair anywhere, which the parser accepts in texts that do not
    count. So where the codec refuses, Python's own parser cuts. Raises ProblemError with 400.
    """
    try:
        return [bytes(each) for each in _list_of_raw(data)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return [each.encode() for each in _values(data.decode())]
    except UnicodeDecodeError as error:
        raise ProblemError(400, "invalid_utf8", f"byte {error.start} of the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ProblemError(
            400, "not_json", f"the body is no JSON array: {error.msg.lower()} (character {error.pos})"
        ) from None
    except RecursionError:
        raise ProblemError(400, "not_json", "the body is nested too deeply") from None


def _values(text: str) -> Iterator[str]:
    """Yield the text of each value of an array."""
    at = _after_space(text, 0)
    if text[at : at + 1] != "[":
        raise json.JSONDecodeError("an array is expected", text, at)
    at = _after_space(text, at + 1)
    if text[at : at + 1] != "]":
        while True:
            _, end = _scan(text, at)
            yield text[at:end]
            at = _after_space(text, end)
            if text[at : at + 1] != ",":
                break
            at = _after_space(text, at + 1)
    if text[at : at + 1] != "]":
        raise json.JSONDecodeError("a comma or the end of the array is expected", text, at)
    if _after_space(text, at + 1) != len(text):
        raise json.JSONDecodeError("the array is not the end", text, at + 1)


def _after_space(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t", "\r", "\n"):
        at += 1
    return at
