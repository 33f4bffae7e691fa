"""What went wrong once, as small as it can be told."""

from dataclasses import replace

import pytest

from meter.core.policy import Policy
from schemas.ledger import BalanceFact
from tests.feeds.lines import HOUR_MS, stamp
from tests.oracle.oracle import meter
from tests.properties.money import oracle_totals, totals
from tests.properties.pipeline import STAGES, Pipeline, Turn, metered
from tests.properties.view import view
from tests.properties.worlds import (
    GAP,
    HOLD,
    HORIZON,
    NOW,
    POLICY,
    STANDARD,
    START,
    STEP,
    STRANGERS,
    WHO,
    Arrival,
    accounts,
    arranged,
    chat,
    command,
)


def test_a_workspace_created_late_is_billed_by_its_own_plan() -> None:
    """DOMAIN, Prices: the plan in force by the command's own time bills; having been provisioned before it came leaves
    nothing behind."""
    created = command("workspace.created", START, "late", "stranger", plan="enterprise", session_price_micros=70_000)
    spoken = Arrival(START + STEP, chat(START + STEP, "e", STRANGERS[0]))
    lines = arranged([spoken, Arrival(START + GAP, created)])
    taken = [Turn(stage, 0, 99, feed=stage == "sessionize") for _ in lines for stage in STAGES]
    assert totals(metered(lines, NOW, taken, partitions=1)) == {"stranger": 70_000}


def test_a_plan_that_was_changed_before_the_first_event_bills_a_provisioned_workspace() -> None:
    """The same: what provisioning assumes is older than all that a command says."""
    changed = command("plan.changed", START, "p", "stranger", plan="enterprise", session_price_micros=70_000)
    spoken = Arrival(START + STEP, chat(START + STEP, "e", STRANGERS[0]))
    assert totals(metered(arranged([Arrival(START, changed), spoken]), NOW)) == {"stranger": 70_000}


def test_a_grant_that_is_credited_again_after_a_restart_still_lapses() -> None:
    """A lot that was used up at a restart, and got credit back by a late bridge, ends with its term like any other."""
    ends = START + 2 * HOUR_MS
    lines = [
        command("workspace.created", START - 1, "c", STANDARD, plan="standard", free_grant_micros=0),
        command("grant.assigned", START, "g", STANDARD, grant_id="g", amount_micros=400_000, expires_at=stamp(ends)),
        *(chat(START + at, f"e-{at}", WHO[0]) for at in (0, 2 * GAP, GAP)),
        chat(ends, "last", WHO[0], actor="agent"),
    ]
    first = [Turn(stage, 0, 9, checkpoint=True, feed=2 * (stage == "sessionize")) for stage in STAGES]
    crash = [replace(each, cut=0, feed=0) for each in first]
    plain, restarted = (metered(lines, NOW, taken, POLICY, partitions=1) for taken in (first, first + crash))
    assert plain.balances[STANDARD] == BalanceFact(free_micros=0, paid_micros=0, lapsed_micros=200_000)
    assert restarted == plain


def test_a_crash_after_the_last_mark_does_not_keep_the_end_from_the_wallets() -> None:
    """What may only be said after a checkpoint is said again by the worker that goes on from it: a restart at the end
    of a feed shows the same lapses, after any effect."""
    given_free = {"grant_id": "g", "amount_micros": 400_000, "expires_at": stamp(START + GAP)}
    created = command("workspace.created", START, "c", STANDARD, plan="standard", free_grant_micros=0)
    lines = [created, command("grant.assigned", START, "g", STANDARD, **given_free), chat(START, "e", WHO[0])]
    lines.append(chat(START + GAP, "end", WHO[0], actor="agent"))
    plain = metered(lines, NOW, (), POLICY, partitions=1)
    assert plain.balances[STANDARD].lapsed_micros == 200_000
    for cut in range(12):
        pipeline = Pipeline(lines, NOW, POLICY, partitions=1)
        pipeline.feed(len(lines))
        pipeline.close()
        pipeline.process(Turn("sessionize", 0, 99, checkpoint=True, cut=cut))
        pipeline.run()
        assert view(pipeline.log) == plain


@pytest.mark.parametrize("horizon_ms", [STEP, GAP - 1, GAP, GAP + 1])
def test_a_short_horizon_does_not_charge_twice(horizon_ms: int) -> None:
    """A conversation that goes on is remembered by its wallet, however short the horizon is set."""
    lines = [
        chat(START, "e-1", WHO[0]),
        chat(START + 2 * STEP, "e-2", WHO[0]),
        chat(START + 2 * STEP + GAP, "e-3", WHO[1]),
        chat(START + 2 * GAP + STEP, "e-4", WHO[1]),
    ]
    step = [Turn(stage, partition, 1, True, feed=1) for stage in STAGES for partition in (0, 1)]
    found = metered([*accounts(), *lines], NOW, step * 12, Policy(horizon_ms=horizon_ms))
    assert totals(found) == oracle_totals(meter([*accounts(), *lines], NOW, horizon_ms=horizon_ms))


def test_nothing_lapses_that_is_good_at_the_end_of_the_feed() -> None:
    """A finite feed moves event time to its end: a grant that ends a minute later still stands."""
    given_free = {"grant_id": "g", "amount_micros": 400_000, "expires_at": stamp(START + STEP)}
    lines = [command("grant.assigned", START, "g", "other", **given_free), chat(START, "e", WHO[0])]
    assert metered(lines, NOW, (), HOLD).balances["other"] == BalanceFact(
        free_micros=400_000, paid_micros=0, lapsed_micros=0
    )


def test_a_superseded_sessionizer_that_was_ahead_does_not_have_conversations_charged_twice() -> None:
    """At which offset a conversation closes follows from the log: its successor, in other batches, says the same."""
    spoken = [chat(START, "e-1", WHO[3]), chat(START, "e-1", WHO[3])]
    spoken += [chat(START + HORIZON + 2 * GAP, "e-2", WHO[3])] * 2
    for partition in (0, 1):
        zombie = Turn("sessionize", partition, 3, checkpoint=True, cut=0, zombie=True, feed=99)
        taken = [zombie, Turn("sessionize", partition, 1), Turn("sessionize", 1 - partition, 1, wake=True)]
        found = metered([*accounts(), *spoken], NOW, taken, POLICY)
        assert totals(found) == {"enterprise": 2 * 333_333}
