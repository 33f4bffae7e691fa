"""The sessionizer's stage in a process that one record ends. The process reads what chat-events holds, then it ends.

How it ends at the record whose value has POISON in it: `abort`, as the kernel's check does it; `kill`, as Linux does it
where no memory is left; or `raise`.
"""

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence

from faust.types import TP

from meter.core.policy import Policy
from meter.kafka.fetched import Batch, Fetched
from meter.kafka.topics import KafkaTopics
from meter.sessionizer.sessionizer import Sessionizer
from meter.stage.fold import Output
from meter.stage.stage import Stage
from meter.worker import or_crash
from schemas.topics import CHAT_EVENTS, CONVERSATION_STATE
from tests.one_member import OneMember
from tests.sessionizer_engines import chosen

POISON = b"poison"


def end(how: str) -> None:
    """End this process."""
    if how == "abort":
        os.abort()
    elif how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "raise":
        raise ValueError("poison")


class Mortal(Sessionizer):
    """It ends in the middle of a batch."""

    how = ""

    def process(self, records: Sequence[Fetched]) -> Iterator[Output]:
        if any(POISON in (record.value or b"") for record in records):
            end(self.how)
        return super().process(records)


async def main(broker: str, how: str) -> None:
    """Read to the end."""
    Mortal.how = how
    topics = KafkaTopics(broker, idempotent=False)
    await topics.start()
    ends: dict[TP, int] = {}
    group = OneMember(ends.__getitem__)

    def make_fold(partition: int, partitions: int) -> Mortal:
        return Mortal(Policy(), partition, chosen(), partitions)

    stage = Stage(topics, group, CHAT_EVENTS, CONVERSATION_STATE, make_fold, checkpoint_ms=60_000, session_ms=10_000)
    tp = TP(CHAT_EVENTS.name, 0)
    ends[tp] = await topics.end(*tp)
    await or_crash(stage.run_periodic())
    (partition,) = stage._partitions.values()
    async for records in topics.read(tp.topic, 0, partition.next_offset, ends[tp] - 1):
        await or_crash(stage.process(Batch(tp, partition.next_offset, records, records[-1].offset), 1))
    stage._checkpoint_s = 0.0
    await or_crash(stage.run_periodic())
    await topics.stop()


def run(broker: str, how: str) -> None:
    """The whole process."""
    asyncio.run(main(broker, how))
