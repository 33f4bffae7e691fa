"""The Faust app of a meter worker, with one agent for each stage that METER_STAGES names."""

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from tempfile import TemporaryDirectory
from typing import Final

import faust
from faust.types import StreamT

from meter.charger.charger import Charger
from meter.commands.mover import CommandMover
from meter.core.policy import Policy
from meter.kafka.fetched import Batch
from meter.kafka.group import FaustGroup
from meter.kafka.topics import KafkaTopics
from meter.sessionizer.choose_engine import engine_of
from meter.sessionizer.sessionizer import Sessionizer
from meter.settings import Settings
from meter.stage.refusals import RefusalError
from meter.stage.stage import Stage
from schemas.delivery import METADATA_MS
from schemas.exit_statuses import CRASHED, REFUSED
from schemas.formats import NewerFormatError
from schemas.repeated_lines import bound_repeated_lines
from schemas.topics import (
    ACCOUNT_COMMANDS,
    CHAT_EVENTS,
    COMMAND_STATE,
    CONVERSATION_STATE,
    METER_GROUP,
    WALLET_INPUTS,
    WALLET_STATE,
    Topic,
)

COLLECT_S: Final = 10.0
"""How often the garbage collector looks for cycles among young objects.

Python's own rule counts new objects. With it, the collector would scan a waiting batch again and again, and all of the
state in the middle of a batch.
"""

COLLECT_ALL: Final = 60
"""One collection in this many scans all objects, that is every 10 minutes."""

logger = logging.getLogger(__name__)


class MeterApp(faust.App):
    """Faust's app, with the topics that its stages write: connected before the first batch, closed after the last."""

    outbox: KafkaTopics

    async def on_start(self) -> None:
        """Connect the producer. Faust calls it before the consumer and the agents start. Raises TopicsError."""
        await self.outbox.start()
        await super().on_start()

    async def on_shutdown(self) -> None:
        """Write pending records and disconnect the producer. Faust calls it when all agents have stopped."""
        await super().on_shutdown()
        await self.outbox.stop()


def make_app(settings: Settings, policy: Policy, datadir: str) -> MeterApp:
    """Return the worker's app, neither started nor connected. Raises SettingsError if a setting cannot be used.

    `policy` is the first version of the policy. Faust requires `datadir`, a directory, and leaves it empty.
    """
    app = MeterApp(
        METER_GROUP,
        broker=settings.broker_url(),
        broker_session_timeout=settings.kafka_session_timeout_s,
        broker_heartbeat_interval=settings.kafka_session_timeout_s / 5,
        broker_request_timeout=max(40.0, settings.kafka_session_timeout_s + 5),
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=METADATA_MS,
        datadir=datadir,
        store="memory://",
        stream_buffer_maxsize=1,  # Batches, not records. A waiting batch takes memory.
        stream_wait_empty=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    app.outbox = topics = KafkaTopics(settings.kafka_bootstrap_servers, idempotent=settings.kafka_idempotent)
    make_engine = engine_of(settings)
    make_stage = partial(
        Stage,
        topics,
        FaustGroup(app),
        checkpoint_ms=settings.meter_checkpoint_ms,
        session_ms=int(settings.kafka_session_timeout_s * 1000),
    )
    stages = []
    wanted = settings.stages()

    def sessionizer(partition: int, partitions: int) -> Sessionizer:
        return Sessionizer(policy, partition, make_engine, partitions)

    if "sessionize" in wanted:
        stages.append(make_stage(CHAT_EVENTS, CONVERSATION_STATE, sessionizer))
        _add_agent(app, stages[-1], CHAT_EVENTS)
    if "commands" in wanted:
        stages.append(make_stage(ACCOUNT_COMMANDS, COMMAND_STATE, CommandMover))
        _add_agent(app, stages[-1], ACCOUNT_COMMANDS)
    if "charge" in wanted:
        stages.append(make_stage(WALLET_INPUTS, WALLET_STATE, partial(Charger, policy)))
        _add_agent(app, stages[-1], WALLET_INPUTS)

    @app.timer(settings.meter_checkpoint_ms / 2000)
    async def run_periodic() -> None:
        for stage in stages:
            await or_crash(stage.run_periodic())

    collections = count(1)

    @app.timer(COLLECT_S)
    async def collect() -> None:
        gc.collect(1 if next(collections) % COLLECT_ALL else 2)

    return app


def run(settings: Settings, policy: Policy, on_ready: Callable[[], None]) -> None:
    """Run a worker until SIGTERM or SIGINT, then raise SystemExit with 0. `on_ready` is called at every assignment."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # A batch is tens of thousands of objects, state is millions, and none of them is in a cycle. Python's automatic
    # collection would scan them again and again, which takes a quarter of the time. `make_app` collects by the clock.
    gc.freeze()
    gc.disable()

    async def assigned(*_: object, **__: object) -> None:
        on_ready()

    with TemporaryDirectory(prefix="meter-") as datadir:
        app = make_app(settings, policy, datadir)
        app.on_partitions_assigned.connect(assigned, weak=False)
        worker = faust.Worker(app, loglevel=settings.meter_log_level, quiet=True, loop=loop)
        worker.spinner = None  # It writes control codes even where there is no terminal.
        worker.on_setup_root_logger = lambda *_: bound_repeated_lines()
        worker.execute_from_commandline()


def _add_agent(app: faust.App, stage: Stage, topic: Topic) -> None:
    # No acknowledgements: Faust would acknowledge records that it skips at a rebalance. The stage commits offsets.
    source = app.topic(topic.name, key_serializer="raw", value_serializer="raw", acks=False)

    @app.agent(source, name=f"meter.{topic.name}")
    async def agent(stream: StreamT[Batch]) -> None:
        async for event in stream.noack().events():
            await or_crash(stage.process(event.value, event.message.generation_id))


async def or_crash(work: Awaitable[None]) -> None:
    """Await `work`. An exception ends the process at once: a refusal with status REFUSED, any other with CRASHED.

    Without this, Faust would restart the agent after the record that caused the exception, and so skip it. A refusal is
    one sentence on standard error.
    """
    try:
        await work
    except (RefusalError, NewerFormatError) as refusal:
        print(f"Error: {refusal}", file=sys.stderr, flush=True)
        logging.shutdown()
        os._exit(REFUSED)
    except Exception:
        logger.critical("a stage failed; ending this worker", exc_info=True)
        logging.shutdown()
        os._exit(CRASHED)
