"""Records of one partition in which everything happens: repeats, contradictions, bridges, ticks, what is late, what
is in the future, what cannot be read, and events that are written in every way that means the same."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import cycle
from random import Random
from typing import Any, Final, NamedTuple

from aiokafka import ConsumerRecord
from hypothesis import strategies as st

from meter.core.policy import Policy, PolicyInForce
from meter.kafka.records import Record
from schemas.events import encode_tick
from schemas.instants import rfc3339
from schemas.moves import Move
from schemas.policy import encode_policy
from schemas.topics import CHAT_EVENTS
from tests.feeds.lines import HOUR_MS
from tests.properties.memory_log import stored
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
    *[("chat.message", "user")] * 8,
    *[("chat.message", "bot")] * 5,
    ("chat.message", "agent"),
    ("chat.message", "developer"),
    ("chat.notification.proactive", "bot"),
    ("chat.notification.alert", "bot"),
)
STEPS_MS: Final = (
    *[0] * 40,
    *[1, STEP, STEP, STEP, GAP, GAP + 1] * 5,
    3 * GAP,
    HORIZON,
    HORIZON + GAP + 1,
    40 * HOUR_MS,
)
BACK_MS: Final = (
    *[0, 0, 1, STEP, 2 * STEP, GAP, GAP + 1, 2 * GAP, 5 * GAP] * 3,
    HORIZON - 1,
    HORIZON,
    HORIZON + 1,
    -6 * 60_000,
)
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
    *[plain] * 12,
    *[in_utf8] * 6,
    *(spaced, with_more, with_nested, offset_time, fine_time, in_capitals, twice, cut),
)


class Said(NamedTuple):
    """What the next record is, in terms of those before it."""

    step_ms: int
    back_ms: int
    who: Who
    kind: tuple[str, str]
    number: int
    way: Callable[[dict[str, Any]], bytes]
    what: str


CHOICES: Final[tuple[Sequence[Any], ...]] = (
    STEPS_MS,
    BACK_MS,
    SPEAKERS[:2] * 12 + SPEAKERS[2:3] * 3 + SPEAKERS,
    KINDS,
    (*range(50), *range(1000, 1200)),
    WAYS,
    ("event",) * 60 + ("again",) * 10 + ("tick", "tick", "final", "policy", "policy"),
)
said = st.builds(Said, *map(st.sampled_from, CHOICES))


def records_of(everything: Iterable[Said]) -> list[ConsumerRecord]:
    """The records, in offset order, with gaps between some offsets; some of them were moved before."""
    records: list[ConsumerRecord] = []
    now_ms, offset = START, 0
    for each in everything:
        now_ms += each.step_ms
        at_ms = now_ms - each.back_ms
        if each.what == "again" and records:
            value = records[-1 - each.number % len(records)].value
        elif each.what == "policy":
            value = _policy(each.number)
        elif each.what in ("tick", "final"):
            value = encode_tick(at_ms, final=each.what == "final")
        else:
            value = each.way(event(at_ms, each.number, each.who, *each.kind))
        offset += 1 + each.number % 2
        headers = Move(CHAT_EVENTS.name, 1, offset, now_ms).headers((), 500) if each.number % 5 == 0 else None
        records.append(stored(CHAT_EVENTS.name, 0, offset, Record(b"k", value, headers), now_ms))
    return records


def _policy(number: int) -> bytes:
    """A version of the policy with another late horizon. Some versions come again, and some late."""
    horizon_ms = HORIZON * (1, 3, 24)[number % 3] // 2
    return encode_policy(PolicyInForce(policy=Policy(horizon_ms=horizon_ms), version=1 + number // 2 % 40).record())


spoken = st.lists(said, min_size=1, max_size=80).map(records_of)


def much_spoken(seed: int, count: int) -> list[ConsumerRecord]:
    """As many records; the same seed makes the same ones."""
    rng = Random(seed)
    return records_of(Said(*map(rng.choice, CHOICES)) for _ in range(count))


def batches(records: list[ConsumerRecord], plan: list[tuple[int, str]]) -> Iterator[tuple[list[ConsumerRecord], str]]:
    """Batches of the sizes that the plan has, again and again, each with what is to be done after it."""
    at, steps = 0, cycle(plan)
    while at < len(records):
        size, then = next(steps)
        yield records[at : at + size], then
        at += size


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
