"""The payments worker: it reads payment requests, asks the gateway, and writes the answers as commands.

The commands are acknowledged before the offsets are committed. So a worker that is killed leaves requests to ask for
again, with the same idempotency keys, and the answers that come twice are the same commands.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from meter import metrics
from meter.kafka.noted_answers import note_answers
from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics, delivered
from meter.payments.gateway import Answer, Gateway, GatewayUnavailableError, command_of
from meter.settings import Settings
from schemas.delivery import METADATA_MS, READ_COMMITTED
from schemas.formats import PAYMENT_REQUEST_FORMAT, refuse_newer_json
from schemas.payments import PaymentRequest, decode_payment_request
from schemas.topics import PAYMENT_REQUESTS, PAYMENTS_GROUP, WALLET_INPUTS

AT_ONCE: Final = 32
"""How many requests the gateway is asked at a time, at most."""

LONGEST_WAIT_S: Final = 30.0
"""The longest wait before a gateway that gives no answer is asked again. It is asked until it does."""

LONGEST_BATCH_S: Final = 3_600
"""How long a batch may take before Kafka gives the partitions to another worker, which then asks the same again."""

logger = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode


async def commands_for(values: Iterable[bytes], gateway: Gateway) -> list[Record]:
    """Ask the gateway for all requests at a time, and return its answers as records of commands, in the same order.

    A value that is not a request is left out and logged. Raises NewerFormatError, GatewayRefusedError.
    """
    requests = [request for value in values if (request := _read(value)) is not None]
    answers = await asyncio.gather(*(_asked(gateway, request) for request in requests))
    return [
        Record(request.workspace_id.encode(), _encode(command_of(request, answer)))
        for request, answer in zip(requests, answers, strict=True)
        if answer is not None
    ]


def _read(value: bytes) -> PaymentRequest | None:
    try:
        return decode_payment_request(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        refuse_newer_json(f"a record of {PAYMENT_REQUESTS.name}", value, PAYMENT_REQUEST_FORMAT)
        logger.error("a record of %s cannot be read and is left out", PAYMENT_REQUESTS.name)
        metrics.PAYMENTS.labels("unreadable").inc()
        return None


async def _asked(gateway: Gateway, request: PaymentRequest) -> Answer | None:
    """Ask until there is an answer. To give up would be wrong: the money may have been taken."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(GatewayUnavailableError),
        wait=wait_random_exponential(max=LONGEST_WAIT_S),
        before_sleep=_log_wait,
    ):
        with attempt:
            answer = await gateway.pay(request)
    metrics.PAYMENTS.labels("later" if answer is None else answer.outcome).inc()
    return answer


def _log_wait(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    logger.warning("the payment gateway gave no answer (%s); attempt %d follows", error, state.attempt_number + 1)
    metrics.PAYMENTS.labels("no_answer").inc()


async def work(settings: Settings, gateway: Gateway, on_ready: Callable[[], None]) -> None:
    """Work until cancelled. Raises TopicsError if no broker answers at the start, and KafkaError."""
    topics = KafkaTopics(settings.kafka_bootstrap_servers, idempotent=settings.kafka_idempotent)
    consumer = AIOKafkaConsumer(
        PAYMENT_REQUESTS.name,
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group_id=PAYMENTS_GROUP,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level=READ_COMMITTED,
        max_poll_interval_ms=LONGEST_BATCH_S * 1000,
        max_poll_records=AT_ONCE,
        metadata_max_age_ms=METADATA_MS,
        session_timeout_ms=int(settings.kafka_session_timeout_s * 1000),
        heartbeat_interval_ms=int(settings.kafka_session_timeout_s * 200),
    )
    note_answers(consumer._client)
    try:
        await topics.start()
        await consumer.start()
        on_ready()
        while True:
            await _batch(consumer, topics, gateway)
    finally:
        await consumer.stop()
        await topics.stop()


async def _batch(consumer: AIOKafkaConsumer, topics: KafkaTopics, gateway: Gateway) -> None:
    fetched: dict[TopicPartition, Sequence[ConsumerRecord]] = await consumer.getmany(
        timeout_ms=1_000, max_records=AT_ONCE
    )
    if not fetched:
        return
    values = [record.value or b"" for records in fetched.values() for record in records]
    commands = await commands_for(values, gateway)
    await delivered(await topics.append_keyed(WALLET_INPUTS.name, commands))
    try:
        await consumer.commit({tp: records[-1].offset + 1 for tp, records in fetched.items()})
    except (CommitFailedError, IllegalStateError):
        logger.warning("another worker has the partitions now, and will ask for the same payments again")
