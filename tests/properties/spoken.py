"""Records of one partition in which everything happens: repeats, contradictions, bridges, ticks, what is late, what is
in the future, what cannot be read, and events that are written in every way that means the same."""

import json
from collections.abc import Callable
from typing import Any, Final

from aiokafka import ConsumerRecord
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from meter.log import Record
from schemas.events import encode_tick
from schemas.instants import rfc3339
from tests.feeds.lines import HOUR_MS
from tests.properties.pipeline import stored
from tests.properties.worlds import GAP, HORIZON, START, STEP, Who

SPEAKERS: Final[tuple[Who, ...]] = (
    ("w", "b", "web", "u"),
    ("w", "b", "web", "v"),
    ("w", "bw", "eb", "u"),
    ("w", "b", "web", "u" * 100),
    ("ü\u2028", "b", 'quo"te', "back\\slash\t\x7f\x01"),
    ("w" * 512, "b" * 512, "ü" * 512, "\U0001f600" * 512),
)
"""Few, some of them alike, some as long as names can be."""

KINDS: Final = (
    *[("chat.message", "user")] * 4,
    *[("chat.message", "bot")] * 3,
    ("chat.message", "agent"),
    ("chat.message", "developer"),
    ("chat.notification.proactive", "bot"),
    ("chat.notification.alert", "bot"),
)
STEPS_MS: Final = (0, 0, 0, 0, 1, STEP, STEP, GAP, GAP + 1, 3 * GAP, HORIZON, HORIZON + GAP + 1, 40 * HOUR_MS)
BACK_MS: Final = (0, 0, 0, 1, STEP, GAP, GAP + 1, 2 * GAP, HORIZON - 1, HORIZON, HORIZON + 1, -6 * 60_000)
"""By how much event time goes on, and by how much a record is behind it; the last one is in the future."""


def plain(event: dict[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


def spaced(event: dict[str, Any]) -> bytes:
    return b" " + json.dumps(event, indent=1, sort_keys=True).encode() + b"\r\n"


def in_utf8(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def with_more(event: dict[str, Any]) -> bytes:
    more = {"text": "hello", "n": -12, "flag": True, "none": None, "zero": 0, "workspace_id": "other"}
    return json.dumps(more | event | {"data": event["data"] | more | event["data"]}).encode()


def with_nested(event: dict[str, Any]) -> bytes:
    return json.dumps(event | {"more": {"time": [1.5]}}).encode()


def offset_time(event: dict[str, Any]) -> bytes:
    return plain(event | {"time": event["time"].replace("Z", "+00:00")})


def fine_time(event: dict[str, Any]) -> bytes:
    return plain(event | {"time": event["time"].replace("Z", "999999Z")})


def in_capitals(event: dict[str, Any]) -> bytes:
    return plain(event | {"source": event["source"] + "\u00fc"}).replace(b"\\u00fc", b"\xc3\xbc")


def twice(event: dict[str, Any]) -> bytes:
    return plain(event)[:-1] + b',"id":"twice"}'


def cut(event: dict[str, Any]) -> bytes:
    return plain(event)[:-1]


WAYS: Final[tuple[Callable[[dict[str, Any]], bytes], ...]] = (
    *[plain] * 6,
    *[in_utf8] * 3,
    *(spaced, with_more, with_nested, offset_time, fine_time, in_capitals, twice, cut),
)


@st.composite
def spoken(draw: DrawFn) -> list[ConsumerRecord]:
    """Up to 60 records, in offset order, with gaps between some offsets."""
    drawn = draw(
        st.lists(
            st.tuples(
                st.sampled_from(STEPS_MS),
                st.sampled_from(BACK_MS),
                st.sampled_from(SPEAKERS[:3] * 3 + SPEAKERS),
                st.sampled_from(KINDS),
                st.integers(0, 25),
                st.sampled_from(WAYS),
                st.sampled_from(("event",) * 14 + ("tick", "final")),
            ),
            min_size=1,
            max_size=60,
        )
    )
    records, now_ms, offset = [], START, 0
    for step_ms, back_ms, who, kind, number, way, what in drawn:
        now_ms += step_ms
        at_ms = now_ms - back_ms
        value = encode_tick(at_ms, final=what == "final") if what != "event" else way(event(at_ms, number, who, *kind))
        offset += 1 + number % 2
        records.append(stored("chat-events", 3, offset, Record(b"k", value), now_ms))
    return records


def event(at_ms: int, number: int, who: Who, kind: str, actor: str) -> dict[str, Any]:
    """One chat event, the direction of which follows from its number."""
    data = dict(zip(("workspace_id", "bot_id", "channel", "channel_user_id"), who, strict=True))
    return {
        "specversion": "1.0",
        "id": f"e-{number}",
        "source": "/runtime",
        "type": kind,
        "time": rfc3339(at_ms),
        "data": data | {"direction": "out" if number % 3 else "in", "actor": actor},
    }
