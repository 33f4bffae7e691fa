"""Any key, any partitioner is billed the same (docs/adr/0017)."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.policy import Policy
from meter.kafka.records import Record
from meter.sessionizer.engine import MakeEngine
from schemas.moves import AMONG, MOVED_FROM, RECEIVED_MS
from schemas.topics import ACCOUNT_COMMANDS, CHAT_EVENTS, LEDGER, WALLET_INPUTS, Topic
from tests.feeds.lines import DAY_MS, HOUR_MS, MINUTE_MS
from tests.oracle.oracle import meter
from tests.properties.memory_log import MemoryLog
from tests.properties.misplaced import Put, run
from tests.properties.money import oracle_totals, totals
from tests.properties.pipeline import Pipeline, Turn
from tests.properties.test_event_counts import comparisons_of
from tests.properties.view import view
from tests.properties.worlds import NOW, START, STEPS, STRANGERS, WHO, Arrival, accounts, chat, chats, command
from tests.sessionizer_engines import core, either

PARTITIONS = 4
END = START + 12 * HOUR_MS
MOVED = [(MOVED_FROM, b"chat-events/1/7"), (RECEIVED_MS, b"%d" % NOW)]

turn = st.builds(
    Turn,
    stage=st.sampled_from(("sessionize", "sessionize", "charge", "commands")),
    partition=st.integers(0, PARTITIONS - 1),
    records=st.sampled_from((1, 3, 50)),
    checkpoint=st.booleans(),
    cut=st.none() | st.integers(0, 12),
    zombie=st.booleans(),
    wake=st.booleans(),
    order=st.integers(0, 3),
)


def crc32(key: str) -> int:
    """The partition that librdkafka's default partitioner chooses."""
    return zlib.crc32(key.encode()) % PARTITIONS


def placed(arrivals: list[Arrival], partitions: list[int]) -> list[Put]:
    """The accounts where they belong, and each event in the next of the partitions."""
    return [
        *map(Put, accounts()),
        *(Put(each.text, partitions[at % len(partitions)]) for at, each in enumerate(arrivals)),
    ]


@either
@given(chats(), st.lists(st.integers(0, PARTITIONS - 1), min_size=1, max_size=30), st.lists(turn, max_size=20))
def test_any_assignment_to_partitions_is_billed_as_one_pass(
    make_engine: MakeEngine, arrivals: list[Arrival], partitions: list[int], taken: list[Turn]
) -> None:
    """Events within the horizon of each other cost the same in all partitions, and through crashes."""
    log = run(placed(arrivals, partitions), END, taken, make_engine=make_engine).log
    found, expected = view(log), meter([*accounts(), *(each.text for each in arrivals)], END + DAY_MS)
    assert totals(found) == oracle_totals(expected)
    wanted = sorted((c.key, c.first, c.last, c.messages, c.requests, c.sessions) for c in expected.conversations)
    assert sorted(found.chains(billable=True).elements()) == wanted
    assert found.dead == {}
    assert_all_counted(log)


def assert_all_counted(log: MemoryLog) -> None:
    """On every partition events are messages, occurrences, duplicates, dead letters, ticks and moved records."""
    for told in comparisons_of(log).values():
        for each in told.values():
            counts = each.counts
            classes = counts.messages, counts.occurrences, counts.duplicates, counts.refused, counts.ticks, counts.moved
            assert sum(classes) == counts.events == each.origin_offset + 1


places = st.tuples(st.sampled_from((WALLET_INPUTS, ACCOUNT_COMMANDS)), st.integers(0, PARTITIONS - 1))


@given(st.permutations(accounts()), st.lists(places, min_size=6, max_size=6), st.lists(turn, max_size=20))
def test_misplaced_commands_make_no_second_wallet(
    lines: list[bytes], at: list[tuple[Topic, int]], taken: list[Turn]
) -> None:
    """By any topic and partition, and through crashes, each workspace has one wallet with all
    that they gave it."""
    log = run((Put(text, to, None, topic) for text, (topic, to) in zip(lines, at, strict=True)), END, taken).log
    found = view(log)
    paid = {name: balance.paid_micros for name, balance in found.balances.items()}
    assert paid == {"standard": 600_002, "enterprise": 300_001}
    grants = [(ws, each.amount_micros) for ws, book in found.entries.items() for each in book if each.kind == "grant"]
    assert sorted(grants) == [("enterprise", 1_500_000), ("standard", 900_001)]
    assert found.dead == {}


def test_purchase_keyed_by_crc32_reaches_the_one_wallet() -> None:
    """Of 30 workspaces written by librdkafka's default, each has its grant once and its $100; some would lie wrong."""
    names = [f"ws-{number}" for number in range(30)]
    bought = {"order_id": "o", "amount_micros": 100_000_000, "method": "card"}
    given = [
        Put(text, crc32(name), name.encode())
        for name in names
        for text in (
            command("workspace.created", START, "c", name, plan="standard"),
            command("credits.purchased", START, "p", name, **bought),
        )
    ]
    pipeline = run(given, END)
    assert sum(pipeline.log.place(name.encode()) != crc32(name) for name in names) > 10
    found = view(pipeline.log)
    assert {name: (each.free_micros, each.paid_micros) for name, each in found.balances.items()} == dict.fromkeys(
        names, (500_000_000, 100_000_000)
    )
    places = [(each.key, each.partition) for each in pipeline.log.all_of(LEDGER.name)]
    assert len(set(places)) == len({key for key, _ in places}) == 30


@either
def test_one_conversation_over_four_partitions_is_one_charge(make_engine: MakeEngine) -> None:
    """Eight messages without a key, as a round-robin writes them: one conversation of eight messages, $0.20."""
    who = STRANGERS[0]
    given = [Put(chat(START + at * MINUTE_MS, f"e-{at}", who), at, None) for at in range(8)]
    found = view(run(given, END, make_engine=make_engine).log)
    assert totals(found) == {"stranger": 200_000}
    (fact,) = found.conversations.values()
    assert (fact.messages, fact.requests) == (8, 8)


@either
def test_a_record_that_lies_wrong_after_its_move_is_refused(make_engine: MakeEngine) -> None:
    """It is a dead letter `wrong_partition`, whole, and moves no further; the same for a command."""
    event, bought = (
        chat(START, "e", STRANGERS[0]),
        command("workspace.created", START, "c", "standard", plan="standard"),
    )
    wrong = [
        Put(event, _away("stranger"), headers=MOVED),
        Put(bought, _away("standard"), headers=[(MOVED_FROM, b"account-commands/0/0"), (RECEIVED_MS, b"5")]),
    ]
    log = run(wrong, END, make_engine=make_engine).log
    letters = sorted(view(log).dead.values(), key=lambda letter: letter.source_topic)
    assert [(each.code, each.value, each.source_topic) for each in letters] == [
        ("wrong_partition", event, CHAT_EVENTS.name),
        ("wrong_partition", bought, WALLET_INPUTS.name),
    ]
    assert [each.moved_from for each in letters] == ["chat-events/1/7", "account-commands/0/0"]
    assert view(log).balances == {}
    assert_all_counted(log)


def _away(workspace: str) -> int:
    """A partition that is not the workspace's."""
    return Pipeline([], NOW, Policy(), PARTITIONS, core).log.place(workspace.encode()) + 1


FORGED = {
    "not a location": [(MOVED_FROM, b"elsewhere"), (RECEIVED_MS, b"5")],
    "no time": [(MOVED_FROM, b"chat-events/1/7")],
    "time that is no number": [(MOVED_FROM, b"chat-events/1/7"), (RECEIVED_MS, b"-1")],
    "number without end": [(MOVED_FROM, b"chat-events/1/7"), (RECEIVED_MS, b"9" * 5_000)],
    "there twice": [*MOVED, (RECEIVED_MS, b"5")],
    "another topic": [(MOVED_FROM, b"account-commands/1/7"), (RECEIVED_MS, b"5")],
    "not UTF-8": [(MOVED_FROM, b"\xff/1/7"), (RECEIVED_MS, b"5")],
}


@either
@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED)
def test_malformed_headers_of_a_move_count_as_none(make_engine: MakeEngine, headers: list[tuple[str, bytes]]) -> None:
    """A misplaced record with headers that no move writes is moved like any other, with true headers in their place."""
    log = run(
        [Put(chat(START, "e", STRANGERS[0]), _away("stranger"), headers=headers)], END, make_engine=make_engine
    ).log
    assert totals(view(log)) == {"stranger": 200_000}
    (moved,) = (each for each in log.all_of(CHAT_EVENTS.name) if each.key == b"stranger")
    assert sorted(moved.headers) == [
        (AMONG, b"%d" % PARTITIONS),
        (MOVED_FROM, f"chat-events/{_away('stranger') % PARTITIONS}/0".encode()),
        (RECEIVED_MS, b"%d" % (END + DAY_MS)),
    ]


@either
@pytest.mark.parametrize("away", [0, 1])
def test_a_forged_time_does_not_open_the_future(make_engine: MakeEngine, away: int) -> None:
    """An event of the year 2100 is refused as `future`, though its headers say it arrived then; misplaced or not."""
    ahead = chat(START + 75 * 365 * DAY_MS, "e", STRANGERS[0])
    headers = [(MOVED_FROM, b"chat-events/1/7"), (RECEIVED_MS, b"%d" % (START + 75 * 365 * DAY_MS))]
    given = [
        Put(ahead, _away("stranger") - 1 + away, headers=headers),
        Put(chat(START, "now", STRANGERS[0]), _away("stranger") - 1),
    ]
    found = view(run(given, END, make_engine=make_engine).log)
    assert [letter.code for letter in found.dead.values()] == ["future"]
    assert totals(found) == {"stranger": 200_000}


@either
def test_a_misplaced_event_in_the_future_is_refused_where_it_lies(make_engine: MakeEngine) -> None:
    """The guard asks the broker's time where the record was written, not the later one where it would be moved."""
    pipeline = Pipeline([], START, Policy(), PARTITIONS, make_engine)
    at = _away("stranger") % PARTITIONS
    pipeline.log.add(CHAT_EVENTS.name, at, _record(START + 5 * MINUTE_MS + 1, "ahead"))
    pipeline.log.add(CHAT_EVENTS.name, at, _record(START + 5 * MINUTE_MS, "just"))
    pipeline.log.now_ms = START + HOUR_MS
    pipeline.drain()
    letters = view(pipeline.log).dead
    assert [(place, letter.code) for place, letter in letters.items()] == [((CHAT_EVENTS.name, at, 0), "future")]
    assert totals(view(pipeline.log)) == {"stranger": 200_000}


def _record(at_ms: int, event_id: str) -> Record:
    return Record(b"foreign", chat(at_ms, event_id, STRANGERS[0]))


@either
def test_a_misplaced_event_does_not_tell_the_time(make_engine: MakeEngine) -> None:
    """An event that is moved makes no other event of its partition late."""
    home = _away("stranger") - 1
    other = next(who for who in WHO if run([], END).log.place(who[0].encode()) != home % PARTITIONS)
    given = [
        Put(chat(START + 3 * DAY_MS, "newer", other), home),
        Put(chat(START, "older", STRANGERS[0]), home),
    ]
    found = view(run(given, START + 4 * DAY_MS, make_engine=make_engine).log)
    assert found.dead == {}
    assert totals(found)["stranger"] == 200_000


def test_records_that_cannot_be_read_stay_where_they_lie() -> None:
    """A misplaced record without a readable workspace is a dead letter of its own partition, and ticks never move."""
    given = [
        Put(b"{}", 0, topic=CHAT_EVENTS),
        Put(b"{}", 1, topic=ACCOUNT_COMMANDS),
        Put(b"{}", 2, topic=WALLET_INPUTS),
    ]
    log = run(given, END).log
    assert sorted(view(log).dead) == [("account-commands", 1, 0), ("chat-events", 0, 0), ("wallet-inputs", 2, 0)]
    assert sum(len(log.topics[CHAT_EVENTS.name, at]) for at in range(PARTITIONS)) == 1 + PARTITIONS


def test_steps_are_within_the_horizon() -> None:
    """The property above is about events within the horizon of each other."""
    assert Policy().horizon_ms > STEPS * 5 * MINUTE_MS
