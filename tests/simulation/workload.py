"""What the world does in one simulated life: a feed in the order in which it arrives, drawn from a seed."""

from collections.abc import Sequence
from random import Random

from meter.core.policy import Policy
from tests.feeds.disorder import contradict_some, malformed, repeat_some, shuffle_within
from tests.feeds.generator import generate
from tests.feeds.lines import HOUR_MS, is_command, time_of
from tests.properties.policies import policy_line
from tests.simulation.orders import with_orders

LARGEST = 10_000
"""Bytes of a line at most: a large one costs time and shows nothing here."""


def drawn(rng: Random, most: int, now_ms: int, *, within_a_day: bool) -> list[bytes]:
    """A feed of at most `most` chat events, before what is repeated, contradicted and malformed.

    Of a feed within a day no line can be late, nothing is contradicted and nothing malformed: its lines mean the same
    in every order of arrival.
    """
    events = rng.randint(max(1, most // 6), most)
    days = 1 if within_a_day else rng.choice((1, 1, 2, 4))
    lines = generate(rng.randrange(2**31), events, days=days)
    if rng.random() < 0.8:
        lines = shuffle_within(lines, rng.choice((1, 5, 20)) * HOUR_MS, rng.randrange(2**31))
    lines = repeat_some(lines, rng.choice((0.0, 0.1, 0.3)), rng.randrange(2**31), reach_ms=3 * HOUR_MS)
    if within_a_day:
        return lines
    lines = contradict_some(lines, rng.choice((0.0, 0.05)), rng.randrange(2**31), reach_ms=3 * HOUR_MS)
    lines = _with_some_malformed(lines, rng.choice((0, 0, 4)), rng)
    # Orders come late for events that are still remembered, so no policy may forget sooner than in a day then.
    has_orders = rng.random() < 0.5
    if has_orders:
        lines = with_orders(lines, rng, now_ms)
    return _with_policies(lines, rng, (24, 72) if has_orders else (1, 6, 24, 72)) if rng.random() < 0.5 else lines


def _with_policies(lines: list[bytes], rng: Random, horizons_h: Sequence[int]) -> list[bytes]:
    """With policies among the events. The last one provisions, so that what any of them held is charged in the end."""
    first = next(place for place, text in enumerate(lines) if not is_command(text)) + 1
    places = sorted((rng.randint(first, len(lines)) for _ in range(rng.randint(1, 4))), reverse=True)
    for version, place in zip(range(len(places) + 1, 1, -1), places, strict=True):
        is_last = version == len(places) + 1
        policy = Policy(
            horizon_ms=rng.choice(horizons_h) * HOUR_MS,
            debit_order=rng.choice(("free_first", "paid_first")),
            unknown_workspace="provision" if is_last else rng.choice(("hold", "provision")),
        )
        lines = [*lines[:place], policy_line(version, policy), *lines[place:]]
    return lines


def _with_some_malformed(lines: list[bytes], number: int, rng: Random) -> list[bytes]:
    """With lines that must be refused among the rest, some of them because they are late."""
    if number == 0:
        return lines
    first = next(place for place, text in enumerate(lines) if not is_command(text)) + 1
    place = rng.randint(first, len(lines))
    now_ms = max(time_of(text) or 0 for text in lines[:place] if not is_command(text))
    for broken in rng.sample(malformed(now_ms), number):
        if len(broken) <= LARGEST:
            place = rng.randint(place, len(lines))
            lines = [*lines[:place], broken, *lines[place:]]
    return lines
