"""What the meter really writes, as inserts: a feed through the production folds, then its rows, block by block."""

from collections.abc import Iterable, Iterator
from random import Random

from aiokafka import ConsumerRecord

from aggregator.core.records import read_comparison, read_ledger_update, read_letter
from aggregator.core.rows import Block, comparison_blocks, ledger_update_blocks, letter_blocks
from meter.core.policy import Policy
from schemas.topics import DEAD_LETTERS, EVENT_COUNTS, LEDGER
from tests.feeds.disorder import shuffle_within, with_malformed
from tests.feeds.generator import generate
from tests.feeds.lines import DAY_MS, HOUR_MS, millis
from tests.properties.memory_log import MemoryLog
from tests.properties.pipeline import Turn, driven

START = millis(2025, 3, 1)
PARTITIONS = 2


def metered(seed: int, events: int = 300) -> MemoryLog:
    """All topics after a feed with everything in it: late, repeated, contradicted and malformed lines; with crashes."""
    rng = Random(seed)
    lines, _ = with_malformed(shuffle_within(generate(seed, events, start_ms=START), 6 * HOUR_MS, seed=seed), seed=seed)
    turns = [
        Turn(
            stage=rng.choice(("sessionize", "charge")),
            partition=rng.randrange(PARTITIONS),
            records=rng.choice((1, 5, 30)),
            checkpoint=rng.random() < 0.5,
            cut=rng.choice((None, None, None, rng.randrange(40))),
            zombie=rng.random() < 0.5,
            wake=rng.random() < 0.2,
            feed=rng.randrange(10),
        )
        for _ in range(events // 5)
    ]
    return driven(lines, START + 300 * DAY_MS, turns, Policy(), PARTITIONS)


def blocks(records: Iterable[ConsumerRecord]) -> list[Block]:
    """The inserts of one flush."""
    taken = list(records)
    told = [read_comparison(record) for record in taken if record.topic == EVENT_COUNTS.name]
    return [
        *ledger_update_blocks([read_ledger_update(record) for record in taken if record.topic == LEDGER.name]),
        *letter_blocks([read_letter(record) for record in taken if record.topic == DEAD_LETTERS.name]),
        *comparison_blocks([each for each in told if each]),
    ]


def flushes(log: MemoryLog, seed: int, most: int = 40) -> Iterator[list[Block]]:
    """The inserts of one aggregator, flush by flush: each partition in its order, the partitions in any; at times some
    records again that were there before, as after a crash."""
    rng = Random(seed)
    places = [(topic.name, at) for topic in (LEDGER, DEAD_LETTERS, EVENT_COUNTS) for at in range(PARTITIONS)]
    at = dict.fromkeys(places, 0)
    while left := [place for place in places if at[place] < len(log.topics[place])]:
        taken: list[ConsumerRecord] = []
        for place in left:
            if rng.random() < 0.1:
                at[place] = max(0, at[place] - rng.randrange(most))
            number = rng.choice((0, 1, rng.randrange(most)))
            taken += log.topics[place][at[place] : at[place] + number]
            at[place] += number
        yield blocks(taken)
