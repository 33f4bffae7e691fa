"""Latency as the workers tell it, and as the latency program reads it."""

from math import inf

from prometheus_client import REGISTRY, Histogram, generate_latest

from meter import metrics
from meter.charger.charger import Charger
from meter.core.policy import Policy
from tests.bench_wallet.records import HOT, conversation, stored
from tests.latency.histograms import Percentiles, between, counts_of, of_samples

BOUNDS = (0.1, 0.25, 1.0)


def told(name: str) -> dict[float, float]:
    return counts_of(generate_latest().decode(), name)


def test_many_at_once_are_what_the_client_counts_one_by_one() -> None:
    """Bounds take what equals them, the last takes all; sum and count are there."""
    seconds = [0.0, 0.1, 0.1000001, 0.25, 0.3, 1.0, 1.5, 400.0]
    ours = metrics.Latency("meter_test_ours_seconds", "A test", BOUNDS)
    theirs = Histogram("meter_test_theirs_seconds", "A test", buckets=BOUNDS)
    try:
        ours.observe(seconds)
        for each in seconds:
            theirs.observe(each)
        text = generate_latest().decode()
        assert text.count("meter_test_ours_seconds_bucket") == len(BOUNDS) + 1
        assert told("meter_test_ours_seconds") == told("meter_test_theirs_seconds")
        for ending in ("sum", "count"):
            found = REGISTRY.get_sample_value(f"meter_test_ours_seconds_{ending}")
            assert found == REGISTRY.get_sample_value(f"meter_test_theirs_seconds_{ending}")
    finally:
        REGISTRY.unregister(ours)
        REGISTRY.unregister(theirs)


def test_used_up_credit_is_told_once() -> None:
    """A workspace's credit ends on one update; later debits and a worker that starts anew do not tell it again."""

    def count() -> float:
        return told("meter_event_to_used_up_seconds")[inf]

    before = count()
    charger = Charger(Policy(free_grant_micros=400_000), 0)
    for number, expected in ((0, 0), (1, 1), (2, 1)):
        list(charger.process([stored(conversation(HOT, number), number)]))
        assert count() - before == expected
    anew = Charger(Policy(free_grant_micros=400_000), 0)
    for block in charger.changed():
        anew.load(2, block)
    anew.finish(charger.mark(), -1)
    list(anew.process([stored(conversation(HOT, 3), 3)]))
    assert count() - before == 1


def test_percentiles_are_those_between_two_looks() -> None:
    """What was there before does not count; in a bucket observations lie evenly."""
    before = {0.1: 5.0, 0.2: 5.0, inf: 5.0}
    after = {0.1: 5.0 + 50, 0.2: 5.0 + 100, inf: 5.0 + 100}
    assert between(before, after) == Percentiles(100, 100.0, 198.0, 200.0)
    assert between(before, before) is None
    assert of_samples([4.0, 1.0, 3.0, 2.0]) == Percentiles(4, 2.0, 4.0, 4.0)
    assert of_samples([]) is None
