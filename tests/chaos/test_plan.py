"""A seed makes one round, and seeds together make every fault there is."""

from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.act import ACTS, EARLY_SLICES, RESTORED, SOURCE, STATE, TOPICS_OF
from tests.chaos.acts import PLAYED_BY
from tests.chaos.feeding import slices_of
from tests.chaos.plan import (
    BROKER_KILL,
    CONTRADICTION,
    COPY,
    KINDS,
    PROCESS_SETTING,
    TOPIC_SETTING,
    Plan,
    plan_of,
)
from tests.chaos.settings import CONTRADICTIONS, DEBIT_ORDER, TOPIC_SETTINGS, process_settings
from tests.feeds.disorder import disordered
from tests.feeds.generator import generate
from tests.feeds.lines import millis

SEEDS = range(1, 51)


def test_a_seed_makes_one_round() -> None:
    """Plan, feed and poison; and another seed others."""
    assert plan_of(7, 300) == plan_of(7, 300) != plan_of(8, 300)
    assert slices_of(plan_of(7, 300), 300) == slices_of(plan_of(7, 300), 300)


def test_all_kinds_of_faults_occur() -> None:
    """Each to both programs where it can; the broker dies in every fifth round; a pause outlives the session."""
    faults = [fault for seed in SEEDS for fault in plan_of(seed, 3_000).faults]
    assert {fault.kind for fault in faults} == {*KINDS, BROKER_KILL, COPY}
    assert {(fault.kind, fault.program) for fault in faults} >= {
        (kind, program) for kind in ("kill", "stop", "pause", "join") for program in ("meter", "aggregator")
    }
    assert sum(fault.kind == BROKER_KILL for fault in faults) == len(SEEDS) / 5
    plans = [plan_of(seed, 3_000) for seed in SEEDS]
    assert all(each.length_s > plan.session_s for plan in plans for each in plan.faults if each.kind == "pause")


def hundred(first: int) -> list[Plan]:
    """A hundred plans one after another."""
    return [plan_of(seed, 1_000) for seed in range(first, first + 100)]


@pytest.mark.parametrize("first", [1, 3_001, 77])
def test_a_hundred_rounds_have_each_act_five_times(first: int) -> None:
    """Wherever they begin, with each topic and in each way. Most rounds have no act. None has a broker killed too."""
    plans = hundred(first)
    acts = [plan.act for plan in plans if plan.act is not None]
    counts = Counter(act.kind for act in acts)
    assert counts.keys() == set(PLAYED_BY) & set(ACTS.values())
    assert min(counts.values()) >= 5
    assert len(acts) < 50
    assert {(act.kind, act.topic) for act in acts if act.topic} == {
        (kind, topic) for kind, topics in TOPICS_OF.items() for topic in topics
    }
    assert not any(plan.act and plan.seed % 5 == 0 for plan in plans)
    for kind in counts:
        for chosen in ("kills", "is_early", "cut_s"):
            assert {bool(getattr(act, chosen)) for act in acts if act.kind == kind} == {True, False}
    ways = {(act.topic, act.is_early) for act in acts if act.kind in (SOURCE, STATE)}
    assert len(ways) == 2 * len({*TOPICS_OF[SOURCE], *TOPICS_OF[STATE]})


@pytest.mark.parametrize("first", [1, 3_001])
def test_a_hundred_rounds_have_each_fault_of_settings_five_times(first: int) -> None:
    """Each setting at least once; no worker contradicts a debit order that the round changes."""
    plans = hundred(first)
    faults = [fault for plan in plans for fault in plan.faults]
    counts = Counter(fault.kind for fault in faults)
    assert min(counts[kind] for kind in (TOPIC_SETTING, PROCESS_SETTING, CONTRADICTION)) >= 5
    for kind, number in ((TOPIC_SETTING, len(TOPIC_SETTINGS)), (PROCESS_SETTING, len(process_settings(Path())))):
        assert {fault.which for fault in faults if fault.kind == kind} == set(range(number))
    assert {fault.topic for fault in faults if fault.kind == CONTRADICTION} == set(CONTRADICTIONS)
    for plan in plans:
        if any(fault.kind == "policy" for fault in plan.faults):
            assert not any(fault.kind == CONTRADICTION and fault.topic == DEBIT_ORDER for fault in plan.faults)


def test_an_act_comes_between_faults() -> None:
    """Each fault is before it or after it; a copy of ClickHouse is made before the act that brings it back."""
    for plan in hundred(1):
        before, after = plan.faults_before_act(), plan.faults_after_act()
        assert len(before) + len(after) == len(plan.faults)
        assert all(fault.at_s >= 0 for fault in after)
        assert before == plan.faults or plan.act
        assert [fault.kind for fault in before].count(COPY) == (plan.act is not None and plan.act.kind == RESTORED)
        if plan.act is not None:
            assert 0 < plan.act.gates[0] <= plan.act.gates[-1] < len(plan.slices_at_s)


def test_what_is_written_while_no_worker_runs_need_not_be_moved() -> None:
    """Where a source is created again early: a record that is moved long after others were read would be late."""
    early = [plan for plan in hundred(1) if plan.act and plan.act.kind == SOURCE and plan.act.is_early]
    assert early
    for plan in early:
        assert plan.act is not None
        first = plan.act.slice_number
        parts = slices_of(plan, 1_000)[first : first + EARLY_SLICES]
        assert plan.act.gates == (first, first + EARLY_SLICES)
        assert not any(part.foreign for part in parts)
    assert any(len(plan.act.gates) == 2 for plan in hundred(1) if plan.act and plan.act.kind == STATE)


def test_faults_come_while_there_is_work() -> None:
    """Of a large feed too: slices and faults are spread over the same time."""
    for size in (3_000, 300_000):
        plan = plan_of(3, size)
        assert plan.faults[-1].at_s - plan.slices_at_s[-1] < plan.slices_at_s[-1] / 2
        assert plan.slices_at_s[len(plan.slices_at_s) // 2] < plan.faults[-1].at_s
    assert len(plan_of(3, 300_000).faults) > 2 * len(plan_of(3, 3_000).faults)


def test_slices_are_the_whole_feed_in_its_order() -> None:
    """And among them lies poison of every kind, on all topics that are open to strangers; some lines are foreign."""
    parts = [part for seed in range(8) for part in slices_of(plan_of(seed, 20), 20)]
    last = slices_of(plan_of(9, 500), 500)
    fed = [line for part in last for line in part.lines]
    assert fed == disordered(generate(9, 500, start_ms=millis(2026, 8, 29)), 9)
    assert sum(len(part.foreign) for part in last) > 3
    assert all(line in part.lines for part in last for line in part.foreign)
    poison = [record for part in parts for record in part.poison]
    assert {record.code for record in poison} == {"null_value", "not_json", "invalid_utf8", "too_large"}
    assert {(record.topic, record.key is None) for record in poison} == {
        (topic, keyless) for topic in ("chat-events", "wallet-inputs", "account-commands") for keyless in (True, False)
    }
