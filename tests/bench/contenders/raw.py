"""RAW, the denominator: aiokafka's getmany and orjson.loads of every value, and nothing else.

No group, no offsets, no state. The client's defaults, but for batches as large as the meter's; larger fetches made it
no faster.
"""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, TopicPartition
from orjson import loads

from tests.bench.measured import Clock
from tests.bench.task import PARTITIONS, Task, given

BATCH_RECORDS = 20_000


async def read(task: Task) -> None:
    """Go through the topic once."""
    clock = Clock(task.limit_s)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=task.bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    consumer.assign([TopicPartition(task.topic, number) for number in range(PARTITIONS)])
    seen = messages = 0
    while seen < task.events and not clock.is_over:
        batches = await consumer.getmany(timeout_ms=500, max_records=BATCH_RECORDS)
        if batches:
            clock.first()
        for records in batches.values():
            seen += len(records)
            for record in records:
                loads(record.value)
            messages += len(records)
    clock.safe()
    await consumer.stop()
    clock.report(events=seen, messages=messages)


if __name__ == "__main__":
    asyncio.run(read(given(sys.argv[1])))
