"""What the world does to a feed on its way: order lost, lines repeated, contradicted and broken.

Apply in this order, for each judges a line's place by the lines before it: shuffle_within, repeat_some,
contradict_some, with_malformed.
"""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import groupby
from random import Random
from typing import Any

from tests.feeds.lines import DAY_MS, HOUR_MS, chat_data, envelope, is_command, line, millis, stamp, time_of

CONTRADICTIONS: dict[str, Callable[[Any], Any]] = {
    "bot_id": lambda value: f"{value}-x",
    "channel": lambda value: f"{value}-x",
    "channel_user_id": lambda value: f"{value}-x",
    "actor": lambda value: "bot" if value == "user" else "user",
    "direction": lambda value: "in" if value == "out" else "out",
}
"""Each field of a chat event's data that a second event with the same id could hold otherwise."""


def disordered(lines: list[bytes], seed: int) -> list[bytes]:
    """A feed as the world delivers it: out of order by hours, repeated, contradicted, and with broken lines."""
    shuffled = shuffle_within(lines, 6 * HOUR_MS, seed)
    return with_malformed(contradict_some(repeat_some(shuffled, 0.1, seed), 0.05, seed), seed)[0]


def shuffle_within(lines: list[bytes], window_ms: int, seed: int) -> list[bytes]:
    """The lines of each window of event time in any order, so none is late by `window_ms`; its commands go first."""
    rng = Random(seed)
    shuffled: list[bytes] = []
    stamped = zip(_clock(lines), lines, strict=True)
    for _, window in groupby(stamped, key=lambda pair: pair[0] // window_ms):
        found = [text for _, text in window]
        chat = [text for text in found if not is_command(text)]
        rng.shuffle(chat)
        shuffled += [text for text in found if is_command(text)] + chat
    return shuffled


def repeat_some(lines: list[bytes], share: float, seed: int, *, reach_ms: int = 12 * HOUR_MS) -> list[bytes]:
    """A share of the lines once more, anywhere after their first arrival but within `reach_ms` of event time."""
    rng = Random(seed)
    again = [number for number in range(len(lines)) if rng.random() < share]
    return _inserted(lines, {number: lines[number] for number in again}, rng, reach_ms)


def contradict_some(lines: list[bytes], share: float, seed: int, *, reach_ms: int = 12 * HOUR_MS) -> list[bytes]:
    """A share of the chat events once more with one metered field changed; the changed one arrives second."""
    rng = Random(seed)
    chosen = [number for number, text in enumerate(lines) if rng.random() < share and b'"type":"chat.' in text]
    return _inserted(lines, {number: _contradicted(lines[number], rng) for number in chosen}, rng, reach_ms)


def with_malformed(lines: list[bytes], seed: int) -> tuple[list[bytes], list[int]]:
    """One line of each kind that must be refused, at any places after the first chat event, and these places."""
    rng = Random(seed)
    # Commands do not move the clock by which an event is late.
    clock = _clock([b"" if is_command(text) else text for text in lines])
    first = next(number for number, text in enumerate(lines) if not is_command(text)) + 1
    places = sorted(rng.randrange(first, len(lines) + 1) for _ in range(count_malformed()))
    kinds = list(range(count_malformed()))
    rng.shuffle(kinds)
    mixed: list[bytes] = []
    indexes: list[int] = []
    done = 0
    for place, kind in zip(places, kinds, strict=True):
        mixed += lines[done:place]
        indexes.append(len(mixed))
        mixed.append(malformed(clock[place - 1])[kind])
        done = place
    return mixed + lines[done:], indexes


def count_malformed() -> int:
    """How many kinds there are."""
    return len(malformed(millis(2026, 1, 1)))


def malformed(now: int) -> list[bytes]:
    """Every kind of line that must be refused by a feed that has reached the event time `now`."""
    data = chat_data("standard", "bot", "web", "u-0", "user")
    good = envelope("chat.message", now, "malformed", "/broken", data)
    text = line(good)
    broken = [b"not json", b"{", text[:-2], b"[]", b"null", b"42", b'"text"', text.replace(b"u-0", b"\xff\xfe")]
    broken.append(line(good | {"x": "?"}).replace(b"?", b"\xff"))
    wrong_event = {"specversion": "0.3", "type": "chat.unknown", "id": "", "source": 7, "time": stamp(now)[:-1]}
    wrong_event |= {"data": [data]}
    wrong_data = {"workspace_id": "", "bot_id": 5, "channel": None, "channel_user_id": ["u"]}
    wrong_data |= {"direction": "sideways", "actor": "robot"}
    broken += [line(record) for record in _each_wrong(good, wrong_event)]
    broken += [line(good | {"data": wrong}) for wrong in _each_wrong(data, wrong_data)]
    broken += [line(good | {"time": time}) for time in (now, "yesterday", "1969-12-31T23:59:59.999Z")]
    broken += [line(good | {"time": stamp(at)}) for at in (millis(2099, 1, 1), now - DAY_MS - 1, now - 5 * DAY_MS)]
    broken.append(line(good | {"padding": "x" * 2_000_000}))
    return broken + [line(record) for record in _wrong_commands(now)]


def _each_wrong(record: dict[str, Any], wrong: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The record without each field, and with each field wrong."""
    for field, value in wrong.items():
        yield {key: kept for key, kept in record.items() if key != field}
        yield record | {field: value}


def _wrong_commands(now: int) -> Iterator[dict[str, Any]]:
    """Account commands that must change no wallet."""
    bought = {"workspace_id": "prepaid", "order_id": "bad", "amount_micros": 10**9, "method": "card"}
    granted = {"workspace_id": "granted", "grant_id": "bad", "amount_micros": 10**9}
    wrong: list[tuple[str, dict[str, Any]]] = [
        *(("credits.purchased", data) for data in _each_wrong(bought, {"order_id": "", "amount_micros": -5})),
        *(("grant.assigned", data) for data in _each_wrong(granted, {"grant_id": 1, "amount_micros": "100"})),
        ("grant.assigned", granted | {"expires_at": "2026-09-01T00:00:00"}),
        ("grant.assigned", granted | {"amount_micros": 0.5}),
        ("workspace.created", {"workspace_id": "broken", "plan": "enterprise"}),
        ("workspace.created", {"workspace_id": "broken", "plan": "gold"}),
        ("bot.created", {"workspace_id": "standard", "plan": "standard"}),
        ("plan.changed", {"workspace_id": "standard"}),
        ("plan.changed", {"workspace_id": "standard", "plan": "enterprise"}),
    ]
    for number, (kind, data) in enumerate(wrong):
        yield envelope(f"billing.{kind}", now, f"malformed-{number}", "/broken", data)


def _contradicted(text: bytes, rng: Random) -> bytes:
    record = json.loads(text)
    field = rng.choice(sorted(CONTRADICTIONS))
    record["data"][field] = CONTRADICTIONS[field](record["data"][field])
    return line(record)


def _inserted(lines: list[bytes], extra: dict[int, bytes], rng: Random, reach_ms: int) -> list[bytes]:
    """The lines with each extra one put somewhere after its number, before the feed has gone on by `reach_ms`."""
    clock = _clock(lines)
    after: dict[int, list[bytes]] = {}
    for number, text in extra.items():
        own_time = time_of(text)
        last = bisect_right(clock, reach_ms + (clock[number] if own_time is None else own_time))
        after.setdefault(rng.randrange(number, max(number + 1, last)), []).append(text)
    return [text for number, own in enumerate(lines) for text in (own, *after.get(number, []))]


def _clock(lines: list[bytes]) -> list[int]:
    """Event time at each line: the latest time so far."""
    clock: list[int] = []
    now = 0
    for text in lines:
        now = max(now, time_of(text) or 0)
        clock.append(now)
    return clock
