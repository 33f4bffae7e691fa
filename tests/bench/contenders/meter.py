"""The meter: the worker of `python -m meter worker`, with only its first stage.

Faust app, group, batch transport and all; state in checkpoints every 5 s, before which outputs are acknowledged. It is
watched by what an operator sees, its metrics, and by one sensor of Faust's for the first batch. Its last
checkpoint waits until it is due: that wait is idle and not counted, the writing of that checkpoint is.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Final

import faust
from faust.types import TP
from prometheus_client import REGISTRY
from prometheus_client.samples import Sample

from meter import worker as app
from meter.cli import main as cli
from meter.core.policy import Policy
from meter.settings import Settings
from schemas.topics import METER_GROUP, WALLET_INPUTS
from tests.bench.measured import Clock
from tests.bench.offsets import ends, uncommitted
from tests.bench.task import Task, given

LOOK_S: Final = 0.02
ASK_S: Final = 0.5
SETTLE_S: Final = 60.0
"""How long the last checkpoints may take to come."""


class FirstBatch(faust.Sensor):
    """Starts the clock when the first batch reaches a stream."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def on_stream_event_in(self, tp: TP, offset: int, stream: object, event: object) -> None:  # noqa: ARG002
        """Called with each of Faust's events, which are batches, before it is taken."""
        self._clock.first()


class Watch:
    """Sees from the metrics when everything is taken, and from the group's offsets when it is safe."""

    def __init__(self, task: Task, stages: str) -> None:
        self.clock = Clock(task.limit_s)
        self._task = task
        self._charges = "charge" in stages
        self._topics = [task.topic, WALLET_INPUTS.name] if self._charges else [task.topic]

    def look(self) -> None:
        """Wait for the end, report, and end this process as an operator would. Runs in a thread of its own."""
        while not self._is_taken() and not self.clock.is_over:
            time.sleep(LOOK_S)
        self.clock.safe()
        outcomes = {sample.labels["outcome"]: int(sample.value) for sample in _samples("meter_events_total")}
        announced = int(_sum("meter_metered_total"))
        waited_s = 0.0 if self.clock.is_over else self._last_checkpoints()
        self.clock.report(
            events=sum(outcomes.values()),
            messages=outcomes.get("conversation", 0),
            announced=announced,
            after_s=waited_s,
            checkpoint_s=_sum("meter_checkpoint_seconds_sum"),
        )
        os.kill(os.getpid(), signal.SIGTERM)

    def _is_taken(self) -> bool:
        """Whether every event has been metered and acknowledged, and the wallets, if here, have read all of it."""
        if _sum("meter_events_total") < self._task.events or _sum("meter_consumer_lag") > 0:
            return False
        if not self._charges:
            return True
        read = sum(
            sample.value
            for sample in _samples("meter_batch_records_sum")
            if sample.labels["topic"] == WALLET_INPUTS.name
        )
        return read >= sum(ends(self._task.bootstrap, WALLET_INPUTS.name).values())

    def _last_checkpoints(self) -> float:
        """Wait until all is committed; how long, of that, checkpoints were being written."""
        before_s, deadline = _sum("meter_checkpoint_seconds_sum"), time.monotonic() + SETTLE_S
        while any(uncommitted(self._task.bootstrap, METER_GROUP, topic) for topic in self._topics):
            if time.monotonic() > deadline:
                raise TimeoutError(f"offsets of {self._topics} not committed within {SETTLE_S} s")
            time.sleep(ASK_S)
        return _sum("meter_checkpoint_seconds_sum") - before_s


def run(task: Task, stages: str) -> None:
    """Run a worker of `stages` until it has metered the topic; ends the process."""
    os.environ |= {
        "KAFKA_BOOTSTRAP_SERVERS": task.bootstrap,
        "METER_STAGES": stages,
        "METER_CHECKPOINT_MS": str(int(task.commit_s * 1000)),
    }
    watch = Watch(task, stages)
    made = app.make_app

    def make_watched(settings: Settings, policy: Policy, datadir: str) -> app.MeterApp:
        worker = made(settings, policy, datadir)
        worker.sensors.add(FirstBatch(watch.clock))
        return worker

    app.make_app = make_watched
    threading.Thread(target=watch.look, daemon=True).start()
    cli.main(["worker"])


def _samples(name: str) -> Iterator[Sample]:
    """A metric as /metrics would show it, without the cost of all the others."""
    for metric in REGISTRY.restricted_registry([name]).collect():
        yield from (sample for sample in metric.samples if sample.name == name)


def _sum(name: str) -> float:
    return float(sum(sample.value for sample in _samples(name)))


if __name__ == "__main__":
    run(given(sys.argv[1]), "sessionize")
