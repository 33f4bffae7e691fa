"""What a round writes to Kafka, slice by slice while faults happen: a disordered feed, and what no feed can hold."""

import asyncio
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from meter.core.policy import Policy
from meter.ingest.feed_files import read_feeds
from meter.ingest.feeder import Feeder
from meter.kafka.records import Record as Written
from meter.kafka.topics import KafkaTopics
from schemas.topics import ACCOUNT_COMMANDS, CHAT_EVENTS, WALLET_INPUTS
from tests.chaos.foreign import foreign_of, write_foreign
from tests.chaos.plan import BROKER_ROUND, Plan
from tests.chaos.strangers import Stranger
from tests.feeds.disorder import disordered
from tests.feeds.generator import WORKSPACES, generate
from tests.feeds.lines import millis

START_MS: Final = millis(2026, 8, 29)
"""Shortly before a month ends, so that a feed belongs to two."""

ABORTED_EVERY: Final = 3
"""After each so many slices a transaction is aborted."""

_POISON_SHARE: Final = 0.5
_LARGE_BYTES: Final = (1_048_577, 3_000_000)


@dataclass(frozen=True)
class Poison:
    """A record that is no line of any feed, and the code it is refused with."""

    topic: str
    key: bytes | None
    value: bytes | None
    code: str


@dataclass(frozen=True)
class Slice:
    """What is written at once, `at_s` seconds into the round."""

    at_s: float
    lines: list[bytes]
    poison: list[Poison]
    foreign: list[bytes]
    """Those of the lines that a client with other keys and partitions writes, before the rest."""


def slices_of(plan: Plan, size: int) -> list[Slice]:
    """The round's feed of `size` chat events and what the world adds to it, cut where the plan says."""
    rng = Random(f"slices {plan.seed}")
    lines = disordered(generate(plan.seed, size, start_ms=START_MS), plan.seed)
    cuts = sorted(rng.randrange(len(lines) + 1) for _ in plan.slices_at_s[1:])
    parts = [lines[start:end] for start, end in zip([0, *cuts], [*cuts, len(lines)], strict=True)]
    foreign = foreign_of(parts, Random(f"foreign {plan.seed}"))
    if plan.act is not None:
        foreign = {number: lines for number, lines in foreign.items() if not plan.act.is_without_foreign(number)}
    return [
        Slice(at_s, part, poison(rng), foreign.get(number, []))
        for number, (at_s, part) in enumerate(zip(plan.slices_at_s, parts, strict=True))
    ]


def poison(rng: Random) -> list[Poison]:
    """What strangers write: nothing, emptiness, broken text, far too much, and noise, to all topics that are open."""
    drawn: list[Poison] = []
    for topic in (CHAT_EVENTS.name, WALLET_INPUTS.name, ACCOUNT_COMMANDS.name):
        if rng.random() < _POISON_SHARE:
            code, value = rng.choice(
                (
                    ("null_value", None),
                    ("not_json", b""),
                    ("not_json", b"<html>%d" % rng.getrandbits(64)),
                    ("invalid_utf8", b'{"id":"\xff\xfe%d"}' % rng.getrandbits(64)),
                    ("invalid_utf8", b"\x80" + rng.randbytes(200)),
                    ("too_large", rng.randbytes(16) + b"x" * rng.randint(*_LARGE_BYTES)),
                )
            )
            key = None if value is not None and rng.random() < 0.3 else rng.choice(WORKSPACES).encode()
            drawn.append(Poison(topic, key, value, code))
    return drawn


class Feeding(threading.Thread):
    """Writes the slices when their time comes, then moves event time to the end of the feed.

    It waits before the slices that the round's act names, until it is told to go on.
    """

    def __init__(self, bootstrap: str, slices: list[Slice], directory: Path, plan: Plan) -> None:
        super().__init__(name="feeding", daemon=True)
        self._broker = bootstrap
        self._slices = slices
        self._directory = directory
        self._plan = plan
        self._failed: Exception | None = None
        self._gates = plan.act.gates if plan.act else ()
        self._is_waiting = threading.Event()
        self._may_go_on = threading.Event()

    def run(self) -> None:
        """The thread's body."""
        try:
            asyncio.run(self._feed())
        except Exception as error:
            self._failed = error

    def finished(self) -> bool:
        """Whether all is written. Raises what prevented it."""
        if self._failed is not None:
            raise self._failed
        return not self.is_alive()

    def waits(self) -> bool:
        """Whether it has come to a slice before which it waits. Raises what prevented that."""
        assert not self.finished(), "all is written, and there was to be an act before"
        return self._is_waiting.is_set()

    def go_on(self) -> None:
        """Let it write the slice before which it waits, and those after it up to the next gate."""
        self._is_waiting.clear()
        self._may_go_on.set()

    async def _wait_for_act(self) -> float:
        """Wait until `go_on` is called. Returns how many seconds that took."""
        began_at = time.monotonic()
        self._may_go_on.clear()
        self._is_waiting.set()
        while not self._may_go_on.is_set():  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.02)
        return time.monotonic() - began_at

    async def _feed(self) -> None:
        began_at = time.monotonic()
        log = KafkaTopics(self._broker, idempotent=True)
        await log.start()
        try:
            feeder = Feeder(log, Policy())
            async with Stranger(self._broker, self._plan.seed, START_MS) as stranger:
                for number, part in enumerate(self._slices):
                    if number in self._gates:
                        began_at += await self._wait_for_act()
                        await stranger.leave()
                        await log.stop()
                        log = KafkaTopics(self._broker, idempotent=True)
                        await log.start()
                        feeder = _going_on(feeder, log)
                    await asyncio.sleep(max(0.0, began_at + part.at_s - time.monotonic()))
                    file = self._directory / f"slice-{number:03}.ndjson"
                    await write_foreign(self._broker, log, part.foreign, Random(number))
                    foreign = set(part.foreign)
                    file.write_bytes(b"".join(line + b"\n" for line in part.lines if line not in foreign))
                    await feeder.feed(read_feeds([file]))
                    await self._write_poison(log, stranger, part.poison, in_transaction=number % 2 == 1)
                    if number % ABORTED_EVERY == 0:
                        await stranger.abort_some()
            await feeder.close()
        finally:
            await log.stop()

    async def _write_poison(
        self, log: KafkaTopics, stranger: Stranger, poison: list[Poison], *, in_transaction: bool
    ) -> None:
        """Where the broker is killed, no client knows whether its transaction was committed, so there are none."""
        if in_transaction and poison and self._plan.seed % BROKER_ROUND:
            await stranger.write([(each.topic, each.key, each.value) for each in poison])
            return
        for record in poison:
            partition = await log.partition_of(record.topic, record.key or b"")
            await log.write(record.topic, partition, [Written(record.key, record.value)])


def _going_on(feeder: Feeder, log: KafkaTopics) -> Feeder:
    """A feeder that knows the newest time of all lines, and of no partition what was written to it."""
    new = Feeder(log, Policy())
    new.end_ms, new._newest_ms = feeder.end_ms, feeder._newest_ms
    return new
