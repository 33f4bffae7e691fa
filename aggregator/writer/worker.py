"""The Faust app of a worker: an agent for each topic reads, one task writes, and timers check and measure."""

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any, Final

import faust
import mode
from aiokafka import TopicPartition

from aggregator import metrics
from aggregator.clickhouse.client import ClickHouse
from aggregator.core.records import UnusableUpdateError
from aggregator.kafka.survey import READ, survey
from aggregator.reconciliation.watch import Watch
from aggregator.settings import Settings
from aggregator.writer import left_out
from aggregator.writer.intake import Intake, Partition
from aggregator.writer.offsets import GroupOffsets
from aggregator.writer.sink import write
from aggregator.writer.start import require_fit
from schemas.delivery import METADATA_MS, QUIET_S
from schemas.exit_statuses import REFUSED
from schemas.formats import NewerFormatError
from schemas.repeated_lines import bound_repeated_lines
from schemas.topic_lives import Cluster
from schemas.topics import AGGREGATOR_GROUP, LEDGER

LAG_EVERY_S: Final = 2.0
"""How often the metric of the consumer lag is set."""


def build(
    settings: Settings, clickhouse: ClickHouse, cluster: Cluster, datadir: str, on_ready: Callable[[], None]
) -> Any:
    """Build the app. `on_ready` is called at each assignment of partitions.

    `cluster` holds the lives of the topics. Faust requires a `datadir` and writes nothing to it.
    """
    app = faust.App(
        AGGREGATOR_GROUP,
        broker=settings.broker_url(),
        store="memory://",
        datadir=datadir,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_wait_empty=False,
        stream_buffer_maxsize=4,  # In batches, each of thousands of records.
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=METADATA_MS,
        broker_session_timeout=settings.kafka_session_timeout_s,
        broker_heartbeat_interval=settings.kafka_session_timeout_s / 3,
        worker_redirect_stdouts=False,
    )
    offsets = GroupOffsets(app)
    topic_ids = {life.name: life.topic_id for life in cluster.topics.values()}
    write_rows = partial(write, clickhouse, topic_ids=topic_ids)
    intake = Intake(offsets, write_rows, settings.aggregator_flush_ms, left_out.read(clickhouse))
    _read_from(app, intake)
    _write_to(app, intake)
    _follow_assignments(app, intake, on_ready)
    _measure_lag(app, intake, offsets)
    _look_for_holes(app, intake)
    if settings.aggregator_reconcile_s:
        _reconcile(app, clickhouse, settings.aggregator_reconcile_s)
    return app


def run(settings: Settings, clickhouse: ClickHouse, on_ready: Callable[[], None]) -> None:
    """Run until SIGTERM or SIGINT, then raise SystemExit: with code 0, or with another code after a crash.

    Raises KafkaUnusableError or HoldingsError, before anything is started.
    """
    present = asyncio.run(survey(settings.kafka_bootstrap_servers))
    require_fit(clickhouse, present)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    with TemporaryDirectory(prefix="aggregator-") as datadir:
        app = build(settings, clickhouse, present.cluster, datadir, on_ready)
        worker = faust.Worker(app, loglevel="WARN", quiet=True, loop=loop)
        worker.spinner = None  # It writes control codes even if the output is no terminal.
        worker.on_setup_root_logger = lambda *_: bound_repeated_lines()
        worker.execute_from_commandline()


def _read_from(app: Any, intake: Intake) -> None:
    async def read(stream: Any) -> None:
        async for event in stream.noack().events():
            # A batch of an older generation may belong to a partition that another worker has now.
            if event.message.generation_id == app.consumer_generation_id:
                partition = Partition(*event.message.tp)
                await _or_crash(app, intake.process(partition, event.value))

    for topic in READ:
        # No acknowledgements: aggregator/writer/offsets.py moves the offsets.
        channel = app.topic(topic.name, key_serializer="raw", value_serializer="raw", acks=False)
        app.agent(channel, name=f"aggregator.{topic.name}", supervisor_strategy=mode.CrashingSupervisor)(read)


def _write_to(app: Any, intake: Intake) -> None:
    async def write_for_ever() -> None:
        await _or_crash(app, intake.run())

    app.task(write_for_ever)


def _follow_assignments(app: Any, intake: Intake, on_ready: Callable[[], None]) -> None:
    async def revoked(*_: Any, **__: Any) -> None:
        intake.forget()

    async def assigned(*_: Any, **__: Any) -> None:
        intake.forget()
        on_ready()

    app.on_partitions_revoked.connect(revoked, weak=False)
    app.on_partitions_assigned.connect(assigned, weak=False)


def _measure_lag(app: Any, intake: Intake, offsets: GroupOffsets) -> None:
    async def measure() -> None:
        written = dict(intake.written)
        ends = offsets.ends_of(written)
        # The figures of partitions that went to another worker must not stay.
        metrics.LAG.clear()
        for partition, end in ends.items():
            metrics.LAG.labels(partition.topic, str(partition.partition)).set(max(0, end - written[partition]))

    app.timer(interval=LAG_EVERY_S)(measure)


def _look_for_holes(app: Any, intake: Intake) -> None:
    async def look() -> None:
        await _or_crash(app, intake.look_for_holes())

    app.timer(interval=QUIET_S)(look)


def _reconcile(app: Any, clickhouse: ClickHouse, every_s: float) -> None:
    # Every worker can read all tables, so one worker is enough. It is the owner of the ledger's partition 0, because
    # that partition always has an owner.
    watch = Watch(clickhouse, lambda: TopicPartition(LEDGER.name, 0) in app.consumer.assignment())

    async def look() -> None:
        await watch.look()

    app.timer(interval=every_s)(look)


async def _or_crash(app: Any, work: Awaitable[None]) -> None:
    # Faust restarts an agent that raised, after the record at which it raised. That would skip the record, so an
    # unexpected error ends the process instead.
    try:
        await work
    except (NewerFormatError, UnusableUpdateError) as refusal:
        print(f"Error: {refusal}", file=sys.stderr, flush=True)
        logging.shutdown()
        os._exit(REFUSED)
    except Exception as bug:
        await app.crash(bug)
        raise
