"""Of two records that contradict each other the first to arrive stands, and the bill depends on it (DOMAIN, Ties)."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.feeds.lines import envelope, line
from tests.properties.money import totals
from tests.properties.pipeline import metered
from tests.properties.test_ties import PRICED, TIED, bill
from tests.properties.worlds import NOW, POLICY, START, chat

CONTRADICTIONS: dict[str, list[tuple[str, str, dict[str, Any]]]] = {
    "one command id": [("plan.changed", "1", {"plan": "standard"}), ("grant.assigned", "1", {"grant_id": "g"})],
    "one order id": [("credits.purchased", "1", {"order_id": "o"}), ("credits.purchased", "2", {"order_id": "o"})],
    "one grant id": [("grant.assigned", "1", {"grant_id": "g"}), ("grant.assigned", "2", {"grant_id": "g"})],
    "one workspace": [
        ("workspace.created", "1", {"plan": "standard"}),
        ("workspace.created", "2", {"plan": "standard"}),
    ],
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
@pytest.mark.parametrize("first", [0, 1])
def test_of_two_that_contradict_each_other_the_first_to_arrive_stands(name: str, first: int) -> None:
    """DOMAIN, Metering 6 and 7: the other one is a dead letter. Only here does the bill depend on arrival."""
    lines = [
        line(envelope(f"billing.{kind}", START, command_id, "/console", {"workspace_id": TIED, **data} | amount))
        for (kind, command_id, data), each in zip(CONTRADICTIONS[name], (300_000, 400_000), strict=True)
        for amount in [_amount(kind, each)]
    ]
    second = lines.pop(1 - first)
    alone = metered([PRICED, *lines], NOW, (), POLICY)
    found = metered([PRICED, *lines, second], NOW, (), POLICY)
    assert bill(found) == bill(alone)
    assert [letter.code for letter in found.dead.values()] == ["conflict"]


def _amount(kind: str, amount_micros: int) -> dict[str, Any]:
    match kind:
        case "plan.changed":
            return {}
        case "workspace.created":
            return {"free_grant_micros": amount_micros}
        case "credits.purchased":
            return {"amount_micros": amount_micros, "method": "card"}
        case _:
            return {"amount_micros": amount_micros}


@given(st.permutations(["conflict", "again", "same"]))
def test_events_of_one_id_and_one_instant(order: Iterable[str]) -> None:
    """An event that differs from an earlier one with its id is counted as a conflict, and changes nothing."""
    who = TIED, "b-1", "web", "u-1"
    said = {
        "conflict": chat(START, "e-1", who, "chat.message", "bot"),
        "again": chat(START, "e-1", who),
        "same": chat(START, "e-1", who),
    }
    found = metered([PRICED, *(said[each] for each in order)], NOW, (), POLICY)
    first = next(iter(order))
    assert totals(found) == ({} if first == "conflict" else {TIED: 333_333})
    assert sum(each.messages for each in found.conversations.values()) == 1
