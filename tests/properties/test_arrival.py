"""The bill does not depend on which of several commands arrives first, nor on where a rebilling pauses."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle.oracle import meter
from tests.properties.money import audit, balances, oracle_balances, oracle_totals, totals
from tests.properties.pipeline import Turn, driven, metered
from tests.properties.slices import slices_of
from tests.properties.view import view
from tests.properties.worlds import (
    BOTS,
    ENTERPRISE,
    HORIZON,
    NOW,
    POLICY,
    STANDARD,
    START,
    STEP,
    STRANGERS,
    Arrival,
    arranged,
    chats,
    command,
    hard_feeds,
    turns,
)

PLANS: tuple[dict[str, Any], ...] = (
    {"plan": "standard"},
    *({"plan": "enterprise", "session_price_micros": each} for each in (0, 70_000, 500_001)),
)
instants = st.integers(0, 2).map(lambda number: START + number * STEP)


@st.composite
def tied(draw: st.DrawFn) -> list[bytes]:
    """Plans of a workspace and of its bots, new bots that inherit a price, all at a few instants."""
    drawn = draw(st.lists(st.tuples(instants, st.sampled_from(PLANS), st.none() | st.sampled_from(BOTS)), max_size=6))
    lines = [
        command("plan.changed", at, f"p-{number}", ENTERPRISE, **plan, **({} if bot is None else {"bot_id": bot}))
        for number, (at, plan, bot) in enumerate(drawn)
    ]
    bots = draw(st.lists(st.tuples(instants, st.sampled_from(BOTS)), max_size=3))
    lines += [
        command("bot.created", at, f"q-{number}", ENTERPRISE, bot_id=bot, plan="enterprise")
        for number, (at, bot) in enumerate(bots)
    ]
    return draw(st.permutations(lines))


@settings(max_examples=max(40, settings().max_examples // 4))
@given(chats(), tied(), turns)
def test_of_commands_for_one_instant_the_last_by_source_and_id_stands(
    arrivals: list[Arrival], lines: list[bytes], taken: list[Turn]
) -> None:
    """In any order of arrival, early or between the events: the oracle's total."""
    given_late = [Arrival(START + number * STEP, text) for number, text in enumerate(lines)]
    feed = arranged(arrivals, given_late)
    expected = oracle_totals(meter(feed, NOW, horizon_ms=HORIZON))
    assert totals(metered(feed, NOW, taken, POLICY)) == expected
    early = arranged([Arrival(0, text) for text in reversed(lines)], arrivals)
    assert totals(metered(early, NOW, (), POLICY)) == expected


@pytest.mark.parametrize("created", [{"plan": "standard"}, PLANS[2], PLANS[2] | {"free_grant_micros": 900_000}])
@settings(max_examples=max(40, settings().max_examples // 4))
@given(chats(who=STRANGERS), st.integers(0, 8), turns)
def test_the_command_that_creates_a_workspace_decides_its_grant(
    created: dict[str, Any], arrivals: list[Arrival], delay: int, taken: list[Turn]
) -> None:
    """Ruling 4a: amount and term, also for earlier events. What is left of free and paid credit is the oracle's."""
    text = command("workspace.created", START - 1, "late", "stranger", **created)
    lines = arranged(arrivals, [Arrival(START + delay * STEP, text)])
    with slices_of(1):
        log = driven(lines, NOW, taken, POLICY)
    result = meter(lines, NOW, horizon_ms=HORIZON)
    assert totals(view(log)) == oracle_totals(result)
    assert balances(view(log)).get("stranger") == oracle_balances(result).get("stranger")
    audit(view(log))


@settings(max_examples=max(40, settings().max_examples // 4))
@given(hard_feeds, turns, st.integers(1, 2), st.integers(1, 5))
def test_a_rebilling_in_slices_comes_to_the_same(
    lines: list[bytes], taken: list[Turn], conversations: int, entries: int
) -> None:
    """At any pause, with conversations touched, forgotten or changed again in between, and with any crash."""
    with slices_of(conversations, entries):
        found = metered(lines, NOW, taken, POLICY)
    audit(found)
    assert totals(found) == oracle_totals(meter(lines, NOW, horizon_ms=HORIZON))


def test_a_standard_workspace_that_is_created_late_has_one_grant() -> None:
    """Not the assumed one besides."""
    text = command("workspace.created", START, "late", STANDARD + "-2", plan="standard")
    found = metered([text], NOW, (), POLICY)
    assert balances(found) == {STANDARD + "-2": (500_000_000, 0, 0)}
