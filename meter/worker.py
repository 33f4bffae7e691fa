"""The Faust app of a meter worker: an agent for each of its stages, which are both unless METER_STAGES names one."""

import asyncio
import gc
import logging
import os
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from tempfile import TemporaryDirectory
from typing import Final

import faust
from faust.types import StreamT

from meter.charger.charger import Charger
from meter.kafka.fetched import Batch
from meter.kafka.group import FaustGroup
from meter.kafka.topics import KafkaTopics
from meter.sessionizer.choose_engine import engine_of
from meter.sessionizer.sessionizer import Sessionizer
from meter.settings import Settings
from meter.stage.stage import Stage
from schemas.delivery import METADATA_MS
from schemas.topics import CHAT_EVENTS, CONVERSATION_STATE, METER_GROUP, WALLET_INPUTS, WALLET_STATE, Topic

COLLECT_S: Final = 10.0
"""How often cycles are looked for among what is young. By the clock: counting objects, the collector would look at each
batch again and again while it waits, and state would be gone through in the middle of a batch."""

COLLECT_ALL: Final = 60
"""Every so many times, among everything."""

CRASHED: Final = 70
"""Exit status after an unexpected error: nothing is tidied up, because a restart is what puts things right."""

logger = logging.getLogger(__name__)


class MeterApp(faust.App):
    """Faust's app, with the log that its stages write to: connected before the first batch, closed after the last."""

    outbox: KafkaTopics

    async def on_start(self) -> None:
        """Called when the app starts."""
        await self.outbox.start()
        await super().on_start()

    async def on_shutdown(self) -> None:
        """Called when the app and all its agents have stopped."""
        await super().on_shutdown()
        await self.outbox.stop()


def make_app(settings: Settings, datadir: str) -> MeterApp:
    """The worker's app: not started, not connected. Faust wants a `datadir` and leaves it empty."""
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
        stream_buffer_maxsize=1,  # Batches, not records: what waits here is memory and is read again after a crash.
        stream_wait_empty=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    app.outbox = log = KafkaTopics(settings.kafka_bootstrap_servers, idempotent=settings.kafka_idempotent)
    policy = settings.policy()
    make_engine = engine_of(settings)
    make = partial(
        Stage,
        log,
        FaustGroup(app),
        checkpoint_ms=settings.meter_checkpoint_ms,
        session_ms=int(settings.kafka_session_timeout_s * 1000),
    )
    stages = []
    wanted = settings.stages()
    if "sessionize" in wanted:
        make_fold = partial(Sessionizer, policy, make_engine=make_engine)
        stages.append(make(CHAT_EVENTS, CONVERSATION_STATE, make_fold))
        _add_agent(app, stages[-1], CHAT_EVENTS)
    if "charge" in wanted:
        stages.append(make(WALLET_INPUTS, WALLET_STATE, partial(Charger, policy)))
        _add_agent(app, stages[-1], WALLET_INPUTS)

    @app.timer(settings.meter_checkpoint_ms / 2000)
    async def run_periodic() -> None:
        for stage in stages:
            await or_crash(stage.run_periodic())

    rounds = count(1)

    @app.timer(COLLECT_S)
    async def collect() -> None:
        gc.collect(1 if next(rounds) % COLLECT_ALL else 2)

    return app


def run(settings: Settings, on_ready: Callable[[], None]) -> None:
    """Run a worker until SIGTERM or SIGINT, then raise SystemExit with 0. `on_ready` is called at every assignment."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # A batch is tens of thousands of objects, state is millions, and none of them is in a cycle: as it is set at first,
    # the collector looks at them again and again, for a quarter of the time.
    gc.freeze()
    gc.disable()

    async def assigned(*_: object, **__: object) -> None:
        on_ready()

    with TemporaryDirectory(prefix="meter-") as datadir:
        app = make_app(settings, datadir)
        app.on_partitions_assigned.connect(assigned, weak=False)
        worker = faust.Worker(app, loglevel=settings.meter_log_level, quiet=True, loop=loop)
        worker.spinner = None  # It writes control codes even where there is no terminal.
        worker.execute_from_commandline()


def _add_agent(app: faust.App, stage: Stage, topic: Topic) -> None:
    # No acknowledgements: Faust would acknowledge what it skips at a rebalance. The stage moves the offsets.
    source = app.topic(topic.name, key_serializer="raw", value_serializer="raw", acks=False)

    @app.agent(source, name=f"meter.{topic.name}")
    async def agent(stream: StreamT[Batch]) -> None:
        async for event in stream.noack().events():
            await or_crash(stage.process(event.value, event.message.generation_id))


async def or_crash(work: Awaitable[None]) -> None:
    """Do it; an unexpected error ends the process at once. Faust would restart the agent past the record."""
    try:
        await work
    except Exception:
        logger.critical("a stage failed; ending this worker", exc_info=True)
        logging.shutdown()
        os._exit(CRASHED)
