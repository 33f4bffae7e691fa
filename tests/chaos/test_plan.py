"""A seed makes one round, and seeds together make every fault there is."""

from tests.chaos.feeding import slices_of
from tests.chaos.plan import BROKER_KILL, KINDS, plan_of
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
    assert {fault.kind for fault in faults} == {*KINDS, BROKER_KILL}
    assert {(fault.kind, fault.program) for fault in faults} >= {
        (kind, program) for kind in ("kill", "stop", "pause", "join") for program in ("meter", "aggregator")
    }
    assert sum(fault.kind == BROKER_KILL for fault in faults) == len(SEEDS) / 5
    plans = [plan_of(seed, 3_000) for seed in SEEDS]
    assert all(each.length_s > plan.session_s for plan in plans for each in plan.faults if each.kind == "pause")


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
