"""Bytewax as a second engine: on the same messages it must find the conversations that the meter finds."""

import json
from collections import Counter
from collections.abc import Iterable
from random import Random

import pytest

pytest.importorskip("bytewax", reason="bytewax has no wheel for this Python: it comes with 3.12 and older")

from meter.core.policy import Policy
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS
from tests.engines.cases import CASES, GAP_MS, Case, Span
from tests.engines.live import sessions_of
from tests.feeds.disorder import repeat_some, shuffle_within
from tests.feeds.generator import generate
from tests.oracle.build import NOW, T0
from tests.oracle.oracle import meter
from tests.properties.pipeline import metered
from tests.properties.view import View
from tests.properties.worlds import HORIZON, START, STEP, chat
from tests.properties.worlds import NOW as WORLD_NOW


def messages_of(lines: Iterable[bytes]) -> list[tuple[str, int]]:
    """(key, time) of users' and bots' messages in order of arrival, each once: Bytewax knows neither actors nor ids."""
    accepted = meter(lines, NOW, horizon_ms=None).events
    return [
        (json.dumps([event.workspace, event.bot, event.channel, event.user]), event.time)
        for event in accepted
        if event.type == "chat.message" and event.actor in ("user", "bot")
    ]


def conversations_of(view: View) -> Counter[Span]:
    """What the meter's ledger holds, billable or not."""
    return Counter(
        (
            json.dumps([workspace_id, fact.bot_id, fact.channel, fact.channel_user_id]),
            fact.first_ms,
            fact.last_ms,
            fact.messages,
        )
        for (workspace_id, _), fact in view.conversations.items()
        if fact.state != "absorbed"
    )


@pytest.mark.parametrize("case", [case for case in CASES if case.horizon is None], ids=lambda case: case.name)
def test_bytewax_finds_the_windows_of_every_engine(case: Case) -> None:
    """The same translation of a case holds for Bytewax: its gap is joined at equality, as ours is."""
    messages = [(key, T0 + at) for key, at in case.arrivals if key is not None]
    assert sessions_of(messages, case.own_gap_ms, DAY_MS) == (case.expected(), 0)


@pytest.mark.parametrize(("distance_ms", "windows"), [(GAP_MS, 1), (GAP_MS + 1, 2)])
def test_bytewax_joins_at_exactly_the_gap(distance_ms: int, windows: int) -> None:
    """Its convention at equality, measured: 15:00.000 is together, 15:00.001 is not. So nothing is translated below."""
    found, _ = sessions_of([("u", T0), ("u", T0 + distance_ms)], GAP_MS, HOUR_MS)
    assert found.total() == windows


@pytest.mark.parametrize("seed", range(5))
def test_a_hard_feed_has_the_same_conversations(seed: int) -> None:
    """Four days in any order within an hour, an eighth of the lines repeated, on eight workspaces.

    Bytewax closes windows on the way: it waits for the hour and no longer.
    """
    ordered = generate(seed, 1_500)
    feed = repeat_some(shuffle_within(ordered, HOUR_MS, seed), 0.125, seed, reach_ms=HOUR_MS)
    found, late = sessions_of(messages_of(feed), GAP_MS, HOUR_MS)
    assert (found, late) == (conversations_of(metered(feed, NOW, policy=Policy())), 0)
    assert found.total() > 300
    assert max(last - first for _, first, last, _ in found) > 30 * MINUTE_MS


def crowd(seed: int) -> list[bytes]:
    """A hundred people, each with a few messages on a grid of a third of the gap, or a millisecond beside it.

    They arrive up to a late horizon after their time, in the order in which they are due.
    """
    rng = Random(seed)
    due: list[tuple[int, bytes]] = []
    for person in range(100):
        who = ("standard", "b-1", "web", f"u-{person}")
        for number in range(rng.randint(2, 9)):
            at = START + rng.randrange(2 * HOUR_MS // STEP) * STEP + rng.choice((0, 0, 0, 1, -1))
            line = chat(at, f"e-{person}-{number}", who, actor=rng.choice(("user", "bot")))
            due.append((at + rng.choice((0, 0, STEP, HOUR_MS, HORIZON)), line))
    return [line for _, line in sorted(due)]


@pytest.mark.parametrize("seed", range(5))
def test_a_crowd_on_the_boundary_has_the_same_conversations(seed: int) -> None:
    """Distances of exactly the gap and a millisecond off it, bridges, messages as late as the horizon allows."""
    feed = crowd(seed)
    found, late = sessions_of(messages_of(feed), GAP_MS, HORIZON)
    assert (found, late) == (conversations_of(metered(feed, WORLD_NOW, policy=Policy(horizon_ms=HORIZON))), 0)
    assert found.total() > 100
    assert len(feed) > found.total() + 100
