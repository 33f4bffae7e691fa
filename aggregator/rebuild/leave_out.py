"""The operator's decision to leave out one record of the ledger that no version of this program can write."""

import asyncio
import re
from typing import Final

from aiokafka import ConsumerRecord, TopicPartition

from aggregator.clickhouse.client import ClickHouse
from aggregator.core.records import UnusableUpdateError, read_ledger_update, unfit
from aggregator.kafka.survey import KafkaUnusableError, consumer_of, survey
from aggregator.rebuild.rebuild import RebuildError
from aggregator.writer import left_out
from schemas.topics import LEDGER

_LOCATION: Final = re.compile(rf"{LEDGER.name}/(\d{{1,9}})/(\d{{1,18}})")
_ANSWERS: Final = 100
_ANSWER_MS: Final = 100


def reason_of(bootstrap_servers: str, location: str) -> tuple[ConsumerRecord, str]:
    """Return the record at ledger/PARTITION/OFFSET and why it cannot be written.

    Raises RebuildError if there is no such record, or if it can be written; NewerFormatError if a newer version can;
    KafkaUnusableError.
    """
    found = _LOCATION.fullmatch(location)
    if found is None:
        raise RebuildError(f"{location!r} is no record of the ledger: give it as {LEDGER.name}/PARTITION/OFFSET")
    record = asyncio.run(_record(bootstrap_servers, int(found[1]), int(found[2])))
    try:
        if reason := unfit(read_ledger_update(record)):
            return record, reason
    except UnusableUpdateError as unusable:
        return record, unusable.reason
    raise RebuildError(f"{location} can be written, so it must not be left out: start the workers")


def leave_out(clickhouse: ClickHouse, record: ConsumerRecord, reason: str) -> None:
    """Write the decision down, as a dead letter that the workers look for when they start."""
    left_out.leave_out(clickhouse, record, f"value: an operator left this record of the ledger out: {reason}")


async def _record(bootstrap_servers: str, partition: int, offset: int) -> ConsumerRecord:
    present = await survey(bootstrap_servers)
    end, tp = present.ends.get((LEDGER.name, partition), 0), TopicPartition(LEDGER.name, partition)
    if not present.beginnings.get((LEDGER.name, partition), 0) <= offset < end:
        raise RebuildError(f"{LEDGER.name}/{partition} has no record at offset {offset}: see what the worker said")
    async with consumer_of(bootstrap_servers, None) as consumer:
        consumer.assign([tp])
        consumer.seek(tp, offset)
        for _ in range(_ANSWERS):
            for record in (await consumer.getmany(tp, timeout_ms=_ANSWER_MS)).get(tp, ()):
                if record.offset == offset:
                    return record
                raise RebuildError(f"{LEDGER.name}/{partition} has no record at offset {offset} any more")
    raise KafkaUnusableError(
        f"{LEDGER.name}/{partition} brings no record: see whether all brokers are up, and run again"
    )
