"""A generated feed is the same for a seed, and as hard as it claims."""

import json
from collections import Counter
from itertools import pairwise

import pytest

from tests.feeds.disorder import contradict_some, count_malformed, repeat_some, shuffle_within, with_malformed
from tests.feeds.generator import generate
from tests.feeds.lines import DAY_MS, HOUR_MS, is_command, millis, time_of
from tests.oracle.oracle import Result, merged, meter

NOW = millis(2026, 12, 1)


@pytest.fixture(scope="module")
def feed() -> list[bytes]:
    return generate(seed=1, events=3_000)


def outcome(result: Result) -> tuple[object, ...]:
    """What must not depend on order, without what tells lines apart by place."""
    return result.chains, dict(sorted(result.daily.items())), dict(sorted(result.balances.items())), result.end


def test_a_seed_makes_one_feed(feed: list[bytes]) -> None:
    """And another seed another."""
    assert generate(1, 3_000) == feed
    assert generate(2, 3_000) != feed
    assert sum(not is_command(line) for line in feed) == 3_000
    assert not any(b"\n" in line for line in feed)


def test_the_oracle_reads_all_of_it(feed: list[bytes]) -> None:
    """Nothing is refused, and no id is used twice."""
    result = meter(feed, NOW)
    assert (result.dead_letters, result.duplicates, result.conflicts) == ([], [], [])
    assert (len(result.events), len(result.commands)) == (3_000, len(feed) - 3_000)


def test_gaps_on_the_boundary_and_ties_occur(feed: list[bytes]) -> None:
    """15:00.000 and 15:00.001 apart, at one instant, and sessions that end exactly on the grid."""
    result = meter(feed, NOW)
    times: dict[tuple[str, ...], list[int]] = {}
    for event in result.events:
        if event.type == "chat.message" and event.actor in ("user", "bot"):
            times.setdefault((event.workspace, event.bot, event.channel, event.user), []).append(event.time)
    gaps = Counter(later - earlier for own in times.values() for earlier, later in pairwise(sorted(own)))
    assert min(gaps[gap] for gap in (0, 899_999, 900_000, 900_001)) >= 20
    grid = [chain for chain in result.conversations if chain.last > chain.first]
    assert sum((chain.last - chain.first) % 900_000 == 0 for chain in grid) >= 20
    assert any(not chain.billable for chain in result.chains)


def test_every_kind_of_event_command_and_actor_occurs(feed: list[bytes]) -> None:
    """Of notifications, of all five commands, of extra fields and of zones."""
    records = [json.loads(line) for line in feed]
    assert len({record["type"] for record in records}) == 8
    assert {record["data"].get("actor") for record in records} == {"user", "bot", "agent", "developer", None}
    assert any("traceparent" in record for record in records)
    assert any(not record["time"].endswith("Z") for record in records)
    assert any(record["id"] == other["id"] for record, other in pairwise(sorted(records, key=lambda r: str(r["id"]))))


def test_wallets_run_dry_split_and_keep(feed: list[bytes]) -> None:
    """Every kind of lot pays, one unit is split, a workspace is overdrawn, and a strange one is provisioned."""
    result = meter(feed, NOW)
    assert {charge.lot_kind for charge in result.charges} == {"free", "designated", "shared", "overdraft"}
    assert max(Counter((c.workspace, c.bot, c.at) for c in result.charges).values()) > 1
    assert result.balances["prepaid"].paid < 0 < result.balances["standard"].free
    assert result.balances["stranger"].free > 0


@pytest.mark.parametrize("window_ms", [HOUR_MS, 12 * HOUR_MS])
def test_disorder_within_the_horizon_changes_nothing(feed: list[bytes], window_ms: int) -> None:
    """DOMAIN, Metering 5; and no command comes after an event of its time."""
    shuffled = shuffle_within(feed, window_ms, seed=3)
    assert shuffled != feed
    assert sorted(shuffled) == sorted(feed)
    assert outcome(meter(shuffled, NOW)) == outcome(meter(feed, NOW))
    latest = 0
    for line in shuffled:
        at = time_of(line) or 0
        assert at >= latest - window_ms
        if is_command(line):
            assert at >= latest // window_ms * window_ms
        latest = max(latest, at)


def test_repeats_are_duplicates_and_contradictions_conflicts(feed: list[bytes]) -> None:
    """DOMAIN, Metering 7: neither changes what is billed."""
    repeated = repeat_some(shuffle_within(feed, HOUR_MS, 4), 0.2, seed=5)
    result = meter(contradict_some(repeated, 0.1, seed=6), NOW)
    assert len(result.duplicates) == len(repeated) - len(feed) > 400
    assert len(result.conflicts) > 200
    assert result.dead_letters == []
    assert outcome(result) == outcome(meter(feed, NOW))


@pytest.mark.parametrize("seed", range(5))
def test_each_malformed_line_is_refused_and_the_rest_unaffected(feed: list[bytes], seed: int) -> None:
    """DOMAIN, Metering 6."""
    mixed, indexes = with_malformed(feed, seed)
    result = meter(mixed, NOW)
    assert [letter.line for letter in result.dead_letters] == indexes
    assert len(indexes) == count_malformed() == len(mixed) - len(feed)
    assert {letter.code for letter in result.dead_letters} == {"unreadable", "invalid", "oversize", "future", "late"}
    assert outcome(result) == outcome(meter(feed, NOW))


def test_far_grants_neither_begin_nor_end_near_an_event(feed: list[bytes]) -> None:
    """So that totals do not depend on the order of debits; without the option they do both."""

    def spans(lines: list[bytes]) -> list[int]:
        records = [json.loads(line) for line in lines if b"billing.grant.assigned" in line]
        ends = [record["data"]["expires_at"] for record in records] + [record["time"] for record in records]
        return [time_of(b'"time":"%s"' % end.encode()) or 0 for end in ends]

    first, *_, last = (time_of(line) or 0 for line in feed if not is_command(line))
    assert all(at < first - 30 * DAY_MS or at > last + 30 * DAY_MS for at in spans(feed))
    assert any(first < at < last for at in spans(generate(1, 3_000, far_grants=False)))


def test_a_feed_split_into_files_is_merged_back_by_time(feed: list[bytes]) -> None:
    """Account commands beside the chat events, as they are fed."""
    commands = [line for line in feed if is_command(line)]
    assert merged(commands, [line for line in feed if not is_command(line)]) == feed
