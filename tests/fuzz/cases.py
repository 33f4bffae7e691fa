"""Cases: what number `n` of a seed is, and the real records that it is made from."""

import gzip
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

from schemas.topics import CHAT_EVENTS, WALLET_INPUTS
from tests.feeds.lines import millis, time_of
from tests.fuzz.mutations import mutated

SAMPLE: Final = Path(__file__).parents[2] / "meter" / "sample"
MACHINES_SHARE: Final = 0.02
COMMANDS_SHARE: Final = 0.25
GOOD: Final = 100
"""Real events beside the damaged ones of a batch: less than a day of traffic."""

KEYS: Final = (None, b"", b"corner-books", b"alpine-travel", b"\xff\x00")

_METERED: Final[dict[str, Any]] = {
    "workspace_id": "corner-books",
    "bot_id": "returns",
    "channel": "web",
    "channel_user_id": "visitor-1",
    "origin_partition": 0,
    "origin_offset": 7,
    "produced_ms": 1,
}
MACHINES: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    CHAT_EVENTS.name: (
        {"specversion": "1.0", "id": "t", "source": "/s", "type": "meter.tick", "time": "2026-09-08T00:00:00Z"},
    ),
    WALLET_INPUTS.name: (
        {"type": "meter.safepoint", "origin_partition": 0, "origin_offset": 10**9, "watermark_ms": 1_788_761_808_818},
        _METERED | {"type": "meter.occurrence", "kind": "alert", "unit_id": "u", "at_ms": 1_788_761_808_818},
        _METERED
        | {"type": "meter.conversation", "conversation_id": "c", "opened_ms": 1_788_761_808_818, "state": "open"}
        | {"first_ms": 1_788_761_808_818, "last_ms": 1_788_761_808_818, "messages": 1, "requests": 1, "sessions": 1},
    ),
}
"""What the meter says to itself, as a stranger might write it. The oracle does not read it, so all of it is broken."""


@dataclass(frozen=True)
class Case:
    """One input: where it is written and what."""

    topic: str
    key: bytes | None
    value: bytes | None
    broken: bool = False
    """It is sure to be refused, without asking the oracle."""


@cache
def traffic() -> list[bytes]:
    """The sample's chat events, with its own broken ones."""
    with gzip.open(SAMPLE / "traffic.ndjson.gz") as lines:
        return [line.rstrip(b"\n") for line in lines]


@cache
def commands() -> list[bytes]:
    """The sample's account commands."""
    return (SAMPLE / "accounts.ndjson").read_bytes().splitlines()


@cache
def whole_events() -> list[bytes]:
    """Those of the sample that are JSON: what damage is done to."""
    return [line for line in traffic() if line.startswith(b"{") and line.endswith(b"}}")]


def case(seed: int, number: int) -> Case:
    """The input of that number; it follows from both alone."""
    rng = Random(f"{seed}/{number}")
    is_command = rng.random() < COMMANDS_SHARE
    topic = WALLET_INPUTS.name if is_command else CHAT_EVENTS.name
    key = rng.choice(KEYS)
    if rng.random() < MACHINES_SHARE:
        return Case(topic, key, machine(rng, topic), broken=True)
    # From the part of the week that the batch is in, or most of it would be late or in the future.
    near = slice_of(number // BATCH)
    own, others = (commands(), near) if is_command else (near, commands())
    other = rng.choice(own if rng.random() < 0.7 else others)
    return Case(topic, key, mutated(rng, rng.choice(own), other))


BATCH: Final = 1_000
"""Damaged inputs that share one world."""


def slice_of(batch: int) -> list[bytes]:
    """The real events around a batch."""
    start = batch * 97 % (len(whole_events()) - GOOD)
    return whole_events()[start : start + GOOD]


def now_of(batch: int) -> int:
    """When everything of the batch arrives: with the newest of its real events."""
    times = [time_of(line) or 0 for line in slice_of(batch)]
    return max(at_ms for at_ms in times if at_ms < millis(2027, 1, 1))


def machine(rng: Random, topic: str) -> bytes:
    """A record as the meter itself would write it, and broken for sure."""
    record: dict[str, Any] = dict(rng.choice(MACHINES[topic]))
    name = rng.choice([name for name in record if name != "type"])
    if rng.random() < 0.3:
        del record[name]
    elif isinstance(record[name], int):
        record[name] = rng.choice(("5", None, True, 1.5, [], 10**30, "x"))
    else:
        record[name] = rng.choice((5, None, True, [], {}))
    value = json.dumps(record).encode()
    return value[: rng.randrange(1, len(value))] if rng.random() < 0.2 else value
