"""A repartition at any place of a feed changes no bill, with any clients, and wherever the command is killed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from meter.core.policy import Policy
from meter.core.sessions import accepted_ids
from meter.kafka.home import home_of
from meter.kafka.records import Record
from meter.sessionizer.engine import MakeEngine
from schemas.event_counts import CountComparison
from schemas.events import encode_tick
from schemas.ledger import decode_ledger_update
from schemas.topics import CHAT_EVENTS, LEDGER, WALLET_INPUTS
from schemas.versions import offset_of
from tests.feeds.lines import DAY_MS
from tests.oracle.oracle import meter
from tests.properties.memory_log import MemoryLog
from tests.properties.money import audit, oracle_totals, totals
from tests.properties.pipeline import Pipeline, Turn
from tests.properties.repartitioning import repartition
from tests.properties.test_event_counts import comparisons_of, letters_up_to, worlds
from tests.properties.test_policy import with_horizons
from tests.properties.test_sessionize import chains, undivided
from tests.properties.view import View, view
from tests.properties.worlds import (
    HOLD,
    HORIZON,
    NOW,
    POLICY,
    START,
    STEP,
    WHO,
    Arrival,
    arranged,
    chat,
    feeds,
    hard_feeds,
    turns,
)
from tests.sessionizer_engines import core, either

numbers = st.lists(st.integers(1, 7), min_size=2, max_size=4, unique=True).map(sorted)
"""Numbers of partitions, one after another; some divide each other, some do not."""
cuts = st.integers(0, 40)
kills = st.lists(st.integers(0, 120), max_size=3)


@contextmanager
def small_buckets() -> Iterator[None]:
    """Buckets of three ids, so that a state has several."""
    with patch.object(accepted_ids, "BUCKET_IDS", 3):
        yield


def driven(
    lines: Sequence[bytes],
    taken: list[Turn],
    partitions: list[int],
    cut: int,
    killed: Sequence[int] = (),
    *,
    policy: Policy = POLICY,
    make_engine: MakeEngine = core,
) -> Pipeline:
    """All topics at the end of a feed, which is cut before each change of the number of partitions."""
    with small_buckets():
        pipeline = Pipeline(lines, NOW, policy, partitions[0], make_engine)
        for number, after in enumerate(partitions[1:]):
            pipeline.run_part(taken if number == 0 else (), cut)
            repartition(pipeline, after, killed)
        pipeline.run(taken)
        pipeline.close()
        pipeline.run()
    return pipeline


def fed_with(lines: Sequence[bytes], before: int, after: int, cut: int, some: int, *, late: bool) -> Pipeline:
    """A feed of which `some` lines after the cut lie unread while state moves; a client with another number wrote them.

    With `late`, the client still writes with the former number afterwards; else it knew of the new one before.
    """
    with small_buckets():
        pipeline = Pipeline(lines, NOW, POLICY, before, core)
        pipeline.run_part((), cut)
        if not late:
            pipeline.log.number = after
            pipeline.feed(some)
            pipeline.log.number = before
        repartition(pipeline, after)
        if late:
            pipeline.log.number = before
            pipeline.feed(some)
            pipeline.log.number = after
        pipeline.run()
        pipeline.close()
        pipeline.run()
    return pipeline


def assert_as_one_pass(found: View, lines: list[bytes]) -> None:
    """The bill, the conversations and what was refused are those of one pass over the feed."""
    expected = meter(lines, NOW, horizon_ms=HORIZON)
    assert totals(found) == oracle_totals(expected)
    assert found.chains(billable=True) == chains(expected, billable=True)
    assert found.chains(billable=False) == chains(expected, billable=False)
    assert undivided(found.daily()) == undivided(expected.daily)
    assert len(found.dead) == len(expected.dead_letters)
    audit(found)


def newest_comparisons(log: MemoryLog) -> dict[int, CountComparison]:
    """The comparison of each partition that reconciliation uses."""
    told = comparisons_of(log)
    return {partition: told[partition, offset][partition] for partition, offset in sorted(told)}


def assert_reconciled(log: MemoryLog) -> None:
    """What `aggregator reconcile` compares by partition, as of the newest comparison of each."""
    balances: dict[str, tuple[int, int, int]] = {}
    for record in log.all_of(LEDGER.name):
        update = decode_ledger_update(record.value)
        if update.balance is not None:
            known = balances.get(update.workspace_id, (-1, 0, 0))
            balances[update.workspace_id] = max(known, (update.version, update.partition, update.since))
    for partition, each in newest_comparisons(log).items():
        counts, offset = each.counts, offset_of(each.origin_offset)
        classes = counts.messages, counts.occurrences, counts.duplicates, counts.refused, counts.ticks, counts.moved
        assert sum(classes) == counts.events == offset + 1
        assert (counts.closed_messages, counts.occurrences) == (each.messages, each.occurrences)
        assert counts.refused == letters_up_to(log, CHAT_EVENTS.name, partition, offset)
        assert each.refused_inputs == letters_up_to(log, WALLET_INPUTS.name, partition, offset_of(each.version))
        begun = sum(lies == partition and since <= each.version for _, lies, since in balances.values())
        assert each.workspaces == begun


@either
@given(feeds, turns, numbers, cuts, kills)
def test_any_feed_comes_to_one_pass(
    make_engine: MakeEngine, lines: list[bytes], taken: list[Turn], partitions: list[int], cut: int, killed: list[int]
) -> None:
    """Cut anywhere, from any number of partitions to any others, with superseded workers that wake up after it, and
    killed between any two writes."""
    log = driven(lines, taken, partitions, cut, killed, make_engine=make_engine).log
    assert_as_one_pass(view(log), lines)
    assert_reconciled(log)


@given(worlds, turns, numbers, cuts)
def test_refused_late_and_conflicting_lines(
    lines: list[bytes], taken: list[Turn], partitions: list[int], cut: int
) -> None:
    """Repeats, conflicts and late events are recognised across a repartition; each refusal is counted where it is."""
    log = driven(lines, taken, partitions, cut).log
    assert len(view(log).dead) >= len(meter(lines, NOW, horizon_ms=HORIZON).dead_letters)
    audit(view(log))
    assert_reconciled(log)


@given(hard_feeds, turns, numbers, cuts, kills)
def test_plans_grants_and_purchases(
    lines: list[bytes], taken: list[Turn], partitions: list[int], cut: int, killed: list[int]
) -> None:
    """Wallets go on with their lots, plans, timers and commands; money is conserved over the move."""
    found = view(driven(lines, taken, partitions, cut, killed).log)
    assert totals(found) == oracle_totals(meter(lines, NOW, horizon_ms=HORIZON))
    audit(found)


@given(feeds, turns, numbers, cuts)
def test_held_conversations_stay_held(lines: list[bytes], taken: list[Turn], partitions: list[int], cut: int) -> None:
    """Conversations of a workspace that no command created move with it, and nothing of them is charged."""
    found = view(driven(lines, taken, partitions, cut, policy=HOLD).log)
    charged = oracle_totals(meter(lines, NOW, horizon_ms=HORIZON))
    assert totals(found) == {name: total for name, total in charged.items() if name != "stranger"}
    assert found.chains(billable=True) == chains(meter(lines, NOW, horizon_ms=HORIZON), billable=True)
    audit(found)


@given(with_horizons(), turns, numbers, cuts)
def test_policies_before_and_after(lines: list[bytes], taken: list[Turn], partitions: list[int], cut: int) -> None:
    """The horizon in force moves along, new partitions have it from the beginning, and what was late stays late."""
    found = view(driven(lines, taken, partitions, cut).log)
    expected = meter(lines, NOW, horizon_ms=HORIZON)
    assert len(found.dead) == len(expected.dead_letters)
    assert found.chains(billable=True) == chains(expected, billable=True)
    audit(found)


@given(feeds, numbers, cuts, st.integers(0, 40), st.booleans())
def test_clients_know_of_the_new_number_before_or_later(
    lines: list[bytes], partitions: list[int], cut: int, some: int, late: bool
) -> None:
    """Records that a client writes with the number of before or of after are moved, and billed once."""
    within_a_day = msgspec.structs.replace(POLICY, horizon_ms=DAY_MS)
    with patch("tests.properties.test_repartition.POLICY", within_a_day):
        log = fed_with(lines, partitions[0], partitions[-1], cut, some, late=late).log
    expected = meter(lines, NOW, horizon_ms=DAY_MS)
    assert totals(view(log)) == oracle_totals(expected)
    assert view(log).chains(billable=True) == chains(expected, billable=True)
    audit(view(log))
    assert_reconciled(log)


def test_an_event_moved_before_and_not_read_moves_once_more() -> None:
    """A stage has moved it among two partitions; among three it lies wrong again, and is no dead letter."""
    names = [f"ws-{number}" for number in range(200)]
    name = next(each for each in names if (home_of(each, 2), home_of(each, 3)) == (1, 2))
    pipeline = Pipeline([], NOW, POLICY, 2, core)
    pipeline.log.add(CHAT_EVENTS.name, 0, Record(b"foreign", chat(START, "e", (name, "b", "web", "u"))))
    pipeline.process(Turn("sessionize", 0, 10, checkpoint=True))
    assert [bytes(each.key) for each in pipeline.log.topics[CHAT_EVENTS.name, 1]] == [name.encode()]
    pipeline.workers.clear()
    repartition(pipeline, 3, reads_first=False)
    pipeline.run()
    assert len(pipeline.log.topics[CHAT_EVENTS.name, 2]) == 1
    assert (totals(view(pipeline.log)), view(pipeline.log).dead) == ({name: 200_000}, {})


def test_killed_before_each_of_its_writes() -> None:
    """After any last write the command goes on, and nothing is lost or there twice."""
    lines = arranged(SPOKEN)
    writes = repartition(_cut(lines), 3)
    assert writes > 60
    for number in range(writes):
        pipeline = _cut(lines)
        repartition(pipeline, 3, [number])
        pipeline.run()
        pipeline.close()
        pipeline.run()
        assert_as_one_pass(view(pipeline.log), lines)
        assert_reconciled(pipeline.log)


SPOKEN = [Arrival(at, chat(START + at * STEP, f"e-{at}", WHO[at % len(WHO)])) for at in range(20)]


def _cut(lines: list[bytes]) -> Pipeline:
    pipeline = Pipeline(lines, NOW, POLICY, 2, core)
    pipeline.run_part((), 18)
    return pipeline


def test_what_merging_clocks_make_due_is_closed_and_charged() -> None:
    """A conversation that is over by the higher clock of its new partition is closed by the command."""
    who = ("slow", "b", "web", "u")
    fast = next(name for name in map(str, range(99)) if home_of(name, 2) != home_of("slow", 2))
    lines = [chat(START, "e-1", who), chat(START + HORIZON, "e-2", (fast, "b", "web", "u"))]
    pipeline = Pipeline(lines, NOW, POLICY, 2, core)
    pipeline.run_part((), 2)
    at = home_of("slow", 3)
    read = len(pipeline.log.topics[WALLET_INPUTS.name, at])
    repartition(pipeline, 3)
    closed = [msgspec.json.decode(each.value) for each in pipeline.log.topics[WALLET_INPUTS.name, at][read:]]
    assert [(each["workspace_id"], each["state"], each["messages"]) for each in closed] == [("slow", "closed", 1)]
    pipeline.run()
    pipeline.close()
    pipeline.run()
    assert_as_one_pass(view(pipeline.log), lines)
    assert_reconciled(pipeline.log)


@either
def test_a_copy_of_an_old_id_does_not_hide_the_new_one(make_engine: MakeEngine) -> None:
    """An id came again after the horizon. A partition that has stood still has a copy with the first event of it."""
    names = [f"ws-{number}" for number in range(500)]
    name = next(each for each in names if home_of(each, 3) == 0 and home_of(each, 2) == 0)
    who = (name, "b", "web", "u")
    times = START, START + 2 * HORIZON
    first, again = (chat(at, "one", who) for at in times)
    pipeline = Pipeline([], NOW, POLICY, 2, make_engine)
    for after, at, event in ((3, times[0], first), (4, times[1], again)):
        tick = Record(None, encode_tick(at))
        for record in (tick, Record(name.encode(), event)):
            pipeline.log.add(CHAT_EVENTS.name, home_of(name, pipeline.log.number), record)
        pipeline.drain()
        repartition(pipeline, after)
    pipeline.log.add(CHAT_EVENTS.name, home_of(name, 4), Record(name.encode(), again))
    pipeline.tick(START + 4 * HORIZON)
    assert sorted(view(pipeline.log).chains(billable=True)) == [(who, at, at, 1, 1, 1) for at in times]


def test_a_wallet_that_moves_says_where_it_is() -> None:
    """Reconciliation counts the wallets of each partition, also of workspaces in which nothing happens any more."""
    names = [f"ws-{number}" for number in range(12)]
    pipeline = Pipeline([chat(START, "e", (name, "b", "web", "u")) for name in names], NOW, POLICY, 2, core)
    pipeline.run_part((), 12)
    pipeline.tick(START + HORIZON)
    repartition(pipeline, 3)
    pipeline.tick(START + 2 * HORIZON)
    assert_reconciled(pipeline.log)
    begun = [each.workspaces for _, each in sorted(newest_comparisons(pipeline.log).items())]
    assert begun == [sum(home_of(name, 3) == number for name in names) for number in range(3)]
