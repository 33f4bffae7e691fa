"""Whether a contender has done the work that its speed is claimed for."""

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.metered import ConversationMetered, decode_wallet_input
from schemas.topics import CHAT_EVENTS, METER_GROUP, WALLET_INPUTS
from tests.bench.feed import Truth
from tests.bench.measured import Measured
from tests.bench.offsets import ends, uncommitted
from tests.bench.task import Task


class WrongCountError(Exception):
    """A contender has not done what it was measured for; the message says what is missing."""


def check(name: str, task: Task, truth: Truth, measured: Measured) -> bool:
    """Whether it took the whole feed. Raises WrongCountError if what it took is not all in its conversations."""
    taken = measured.warming + measured.events
    if measured.messages != taken:
        raise WrongCountError(f"{name} took {taken} events, but counted {measured.messages} messages")
    if taken > truth.events:
        raise WrongCountError(f"{name} took {taken} events of {truth.events}")
    if taken < truth.events:
        if not measured.warming and measured.wall_s < task.limit_s:
            raise WrongCountError(f"{name} stopped at {taken} of {truth.events} events before its time was up")
        return False
    if measured.conversations not in (None, truth.conversations):
        raise WrongCountError(f"{name} counted {measured.conversations} conversations of {truth.conversations}")
    return True


def check_metered(name: str, task: Task, truth: Truth) -> None:
    """That the meter announced every billable conversation and committed every event. Raises WrongCountError."""
    announced = asyncio.run(_announced(task.bootstrap, ends(task.bootstrap, WALLET_INPUTS.name)))
    if announced != truth.billable:
        raise WrongCountError(f"{name} announced {announced} billable conversations of {truth.billable}")
    if left := uncommitted(task.bootstrap, METER_GROUP, CHAT_EVENTS.name):
        raise WrongCountError(f"{name} left {left} events uncommitted")


async def _announced(bootstrap: str, last: dict[int, int]) -> int:
    """How many billable conversations wallet-inputs names up to the offsets `last`."""
    found: set[str] = set()
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        unread = {TopicPartition(WALLET_INPUTS.name, number): end for number, end in last.items() if end}
        consumer.assign(list(unread))
        await consumer.seek_to_beginning(*unread)
        while unread:
            for place, records in (await consumer.getmany(*unread, timeout_ms=500, max_records=10_000)).items():
                for record in records:
                    told = decode_wallet_input(record.value)
                    if isinstance(told, ConversationMetered) and told.requests:
                        found.add(told.conversation_id)
                if records[-1].offset + 1 >= unread[place]:
                    del unread[place]
    finally:
        await consumer.stop()
    return len(found)
