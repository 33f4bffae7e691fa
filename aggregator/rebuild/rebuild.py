"""Rebuilding ClickHouse from Kafka: from the oldest records of ledger, dead-letters and event-counts to their ends.

The order makes it safe to be killed anywhere. `emptying` is written before any row is deleted and `filling` after that,
rows come before the offsets held, and `whole` comes after the group's offsets. Workers refuse to start until then, and
the next rebuild goes on at the offsets held.
"""

from typing import Final, NamedTuple, Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from aggregator.clickhouse import holdings
from aggregator.clickhouse.client import ClickHouse
from aggregator.core.holdings import Held, Partition, Present, gone, must_empty, offsets_now
from aggregator.kafka.survey import consumer_of, members, survey
from aggregator.writer import left_out
from aggregator.writer.findings import Findings
from aggregator.writer.sink import write
from schemas.topics import AGGREGATOR_GROUP

WRITE_ROWS: Final = 50_000
WRITE_BYTES: Final = 64 * 1024 * 1024
"""From this many rows, or bytes of records, on, the findings are written."""

ANSWER_MS: Final = 1_000
ANSWERS: Final = 30
"""How long one question for records waits, and how many in a row may bring none until the rebuild gives up."""


class RebuildError(Exception):
    """The rebuild cannot begin or go on. The message is one sentence that says what to do."""


class Progress(Protocol):
    """A rebuild reports here how far it is."""

    def begin(self, total: int) -> None:
        """Called once, with the number of offsets to read."""

    def advance(self, count: int) -> None:
        """Called each time `count` more offsets were read."""


class Plan(NamedTuple):
    """The plan of a rebuild: whether it empties the tables, how many offsets it reads, and what Kafka has no more.

    `starts` is where each partition is read from.
    """

    is_emptied: bool
    starts: dict[Partition, int]
    offsets: int
    gone: list[tuple[Partition, int, int]]


async def plan(bootstrap_servers: str, clickhouse: ClickHouse, *, from_start: bool, keeps: bool = False) -> Plan:
    """Return what `rebuild` would do now, and change nothing. Raises what `rebuild` raises."""
    return _plan(holdings.read(clickhouse), await _quiet(bootstrap_servers), from_start=from_start, keeps=keeps)


async def rebuild(
    bootstrap_servers: str, clickhouse: ClickHouse, progress: Progress, *, from_start: bool, keeps: bool = False
) -> Plan:
    """Fill ClickHouse up to the ends that the topics have now, and return what was done.

    Goes on at the offsets that ClickHouse holds where these can be relied on, unless `from_start`. With `keeps`, rows
    of an earlier life of the topics stay. Raises RebuildError
    while workers run, KafkaUnusableError, and what the client for ClickHouse raises.
    """
    present = await _quiet(bootstrap_servers)
    planned = _plan(holdings.read(clickhouse), present, from_start=from_start, keeps=keeps)
    _prepare(clickhouse, present, is_emptied=planned.is_emptied)
    progress.begin(planned.offsets)
    async with consumer_of(bootstrap_servers, None) as consumer:
        for each, start in sorted(planned.starts.items()):
            await _fill(consumer, clickhouse, present, each, start, progress)
    async with consumer_of(bootstrap_servers, AGGREGATOR_GROUP) as consumer:
        consumer.assign([TopicPartition(*each) for each in present.ends])
        await consumer.commit({TopicPartition(*each): end for each, end in present.ends.items()})
    holdings.hold(clickhouse, present.cluster, "whole", holdings.read(clickhouse).version + 1)
    return planned


async def _quiet(bootstrap_servers: str) -> Present:
    """Return what Kafka has, once it is sure that no worker of the aggregator runs."""
    if running := await members(bootstrap_servers):
        raise RebuildError(f"{running} members of the group {AGGREGATOR_GROUP} still run: stop these workers first")
    return await survey(bootstrap_servers)


def _plan(held: Held, present: Present, *, from_start: bool, keeps: bool = False) -> Plan:
    is_emptied = from_start or must_empty(held, present, keeps=keeps)
    offsets = {} if is_emptied else offsets_now(held, present)
    starts = {each: max(offsets.get(each, 0), oldest) for each, oldest in present.beginnings.items()}
    unread = sum(max(0, present.ends[each] - start) for each, start in starts.items())
    return Plan(is_emptied, starts, unread, gone(offsets, present))


def _prepare(clickhouse: ClickHouse, present: Present, *, is_emptied: bool) -> None:
    """Empty the tables if they cannot be gone on with, and write that they are being filled."""
    version = holdings.read(clickhouse).version
    if is_emptied:
        holdings.hold(clickhouse, present.cluster, "emptying", version + 1)
        holdings.empty(clickhouse)
    holdings.hold(clickhouse, present.cluster, "filling", version + 2)


async def _fill(
    consumer: AIOKafkaConsumer,
    clickhouse: ClickHouse,
    present: Present,
    partition: Partition,
    start: int,
    progress: Progress,
) -> None:
    """Write the rows of one partition from `start` to its end."""
    topic_ids = {life.name: life.topic_id for life in present.cluster.topics.values()}
    end = present.ends[partition]
    skipped = left_out.read(clickhouse)
    at, findings = start, Findings(left_out=skipped)
    consumer.assign([TopicPartition(*partition)])
    consumer.seek(TopicPartition(*partition), start)
    while at < end:
        records, after = await _next(consumer, TopicPartition(*partition), at)
        for record in records:
            if record.offset < end:
                findings.add(record)
        progress.advance(min(after, end) - at)
        at = min(after, end)
        findings.next_offsets[partition] = at
        if at == end or findings.rows >= WRITE_ROWS or findings.size_bytes >= WRITE_BYTES:
            await write(clickhouse, findings, topic_ids)
            findings = Findings(left_out=skipped)


async def _next(consumer: AIOKafkaConsumer, tp: TopicPartition, at: int) -> tuple[list[ConsumerRecord], int]:
    """Return the next records of a partition and the offset after them. Offsets may be no records, such as markers."""
    for _ in range(ANSWERS):
        records = (await consumer.getmany(tp, timeout_ms=ANSWER_MS)).get(tp, [])
        after = await consumer.position(tp)
        if after > at:
            return records, after
    raise RebuildError(
        f"{tp.topic}/{tp.partition} brings no records after offset {at}: "
        "see whether all brokers are up, and run `python -m aggregator rebuild` again"
    )
