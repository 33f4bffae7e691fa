"""The production folds on a broker of lists: every effect is one step, so a crash fits between any two.

A turn of a worker is a generator that performs one effect and pauses. Dropped, it is a crash; resumed after another
worker has taken over, it is a zombie. The effects come in production's order: outputs, state, mark, what may only be
said after the mark. Delivery is that of Kafka: an append is whole, in order, and stays.
"""

import tempfile
from collections import defaultdict, deque
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

from meter.charger.charger import Charger
from meter.commands.mover import CommandMover
from meter.core.policy import Policy
from meter.core.wallet.packed_books import can_be_packed
from meter.ingest.feed_files import Line, read_feeds
from meter.ingest.feeder import Feeder
from meter.kafka.records import Record
from meter.sessionizer.engine import MakeEngine
from meter.sessionizer.sessionizer import Sessionizer
from meter.stage.fold import MakeFold
from meter.stage.mark import NO_LIFE
from schemas.events import encode_tick
from schemas.topics import ACCOUNT_COMMANDS, CHAT_EVENTS, WALLET_INPUTS, Topic
from tests.properties.memory_log import MemoryLog
from tests.properties.policies import Announcer
from tests.properties.view import View, view
from tests.properties.worker import Store, Worker
from tests.sessionizer_engines import chosen

Stage = Literal["sessionize", "charge", "commands"]
STAGES: tuple[Stage, ...] = ("sessionize", "charge")
"""The stages that a turn may be of. The feed of a pipeline has no record on account-commands, unless a test puts it."""


def finish(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run what never waits."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("this was not to wait for anything")


@dataclass(frozen=True)
class Turn:
    """What one worker does next. `cut` is the number of effects after which it stops; then another takes its place.

    A `zombie` is only paused: it goes on when a later turn or the end of the run wakes it. Before the turn, `feed`
    lines reach the topics.
    """

    stage: Stage = "sessionize"
    partition: int = 0
    records: int = 1
    checkpoint: bool = False
    cut: int | None = None
    zombie: bool = False
    wake: bool = False
    order: int = 0
    feed: int = 0


_FLOW: tuple[Stage, ...] = ("commands", "sessionize", "charge")
"""In the order in which data flows."""

PLAIN: tuple[Turn, ...] = ()


class Pipeline:
    """Both stages over all partitions."""

    def __init__(
        self,
        lines: Sequence[bytes],
        now_ms: int,
        policy: Policy,
        partitions: int = 2,
        make_engine: MakeEngine | None = None,
    ) -> None:
        self.policy = policy
        self._make_engine = make_engine or chosen()
        self.log = MemoryLog(partitions, now_ms)
        self._feeder = Feeder(self.log, policy)  # type: ignore[arg-type]
        self._announcer = Announcer(self._feeder, self.log, policy)  # type: ignore[arg-type]
        self._unfed = deque(classified(lines))
        self.stores: defaultdict[tuple[Stage, int], Store] = defaultdict(Store)
        self.workers: dict[tuple[Stage, int], Worker] = {}
        self._zombies: list[Iterator[None]] = []
        self.paused: list[Worker] = []
        """Workers whose turn was cut. Those that are zombies may wake."""
        self.life = NO_LIFE
        self._acknowledged: defaultdict[tuple[Stage, int], int] = defaultdict(int)

    def acknowledged(self, stage: Stage, partition: int) -> int:
        """The offset before which all outputs of a stage's partition are in the log: no worker stopped amid them."""
        return self._acknowledged[stage, partition]

    def feed(self, lines: int) -> None:
        """Write the next lines to the topics, as the product's feeder does."""
        some = [self._unfed.popleft() for _ in range(min(lines, len(self._unfed)))]
        with self._at_now():
            finish(self._announcer.feed(some))

    def close(self) -> None:
        """Move event time to the feed's end and beyond the last conversation's."""
        with self._at_now():
            finish(self._feeder.close())

    def run(self, turns: Iterable[Turn] = PLAIN) -> None:
        """Take the turns, feed what is left, drain it in order, and wake who is still paused.

        Commands at the head of the feed are there before the first turn.
        """
        while self._unfed and self._unfed[0].is_command:
            self.feed(1)
        for turn in turns:
            self.feed(turn.feed)
            self.process(turn)
        self.feed(len(self._unfed))
        self.drain()
        while self._zombies:
            self._wake()
        self.drain()

    def run_part(self, turns: Iterable[Turn], lines: int) -> None:
        """Take the turns, feed up to so many lines in all, and drain. Who is paused stays so."""
        left = max(0, len(self._unfed) - lines)
        while self._unfed and self._unfed[0].is_command:
            self.feed(1)
        for turn in turns:
            self.feed(max(0, min(turn.feed, len(self._unfed) - left)))
            self.process(turn)
        self.feed(max(0, len(self._unfed) - left))
        self.drain()

    def process(self, turn: Turn) -> None:
        """One worker's turn, whole or up to its cut."""
        if turn.wake and self._zombies:
            self._wake()
        place = turn.stage, turn.partition % self.log.number
        worker = self._worker(*place)
        effects = worker.turn(turn.records, checkpoint=turn.checkpoint, order=turn.order)
        for _ in islice(effects, turn.cut):
            pass
        self._acknowledged[place] = max(self._acknowledged[place], worker.next_offset)
        if turn.cut is None:
            return
        self.paused.append(self.workers.pop(place))
        if turn.zombie:
            self._zombies.append(effects)

    def tick(self, at_ms: int) -> None:
        """Let event time come to `at_ms` in every partition, and every worker read it."""
        for partition in range(self.log.number):
            self.log.add(CHAT_EVENTS.name, partition, Record(None, encode_tick(at_ms)))
        self.drain()

    def state(self, stage: Stage) -> dict[bytes, bytes]:
        """What the checkpoints of a stage hold, of all partitions."""
        held: dict[bytes, bytes] = {}
        for (owner, _), store in self.stores.items():
            held |= store.held() if owner == stage else {}
        return held

    def drain(self) -> None:
        """Read everything there is, in large batches, with a checkpoint after each.

        A second time, because a misplaced record moves to a partition that may have been drained before.
        """
        for stage in _FLOW:
            for partition in 2 * list(range(self.log.number)):
                while self._worker(stage, partition).has_work:
                    self.process(Turn(stage, partition, 10_000, checkpoint=True))

    def _worker(self, stage: Stage, partition: int) -> Worker:
        place = stage, partition
        if place not in self.workers:
            source, make_fold = self._source(stage)
            self.workers[place] = Worker(self.log, source, partition, self.stores[place], make_fold, self.life)
        return self.workers[place]

    def _source(self, stage: Stage) -> tuple[Topic, MakeFold]:
        if stage == "charge":
            # Each book is packed at each checkpoint: test_packed_books.py shows that nothing tells the difference.
            return WALLET_INPUTS, partial(Charger, self.policy, may_be_packed=can_be_packed)
        if stage == "commands":
            return ACCOUNT_COMMANDS, CommandMover
        engine = self._make_engine
        return CHAT_EVENTS, lambda partition, partitions: Sessionizer(self.policy, partition, engine, partitions)

    def _wake(self) -> None:
        for _ in self._zombies.pop(0):
            pass

    def _at_now(self) -> Any:
        return patch("meter.ingest.feeder.time.time", lambda: self.log.now_ms / 1000)


def classified(lines: Sequence[bytes]) -> list[Line]:
    """The lines as the product's feeder reads them from a file."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"".join(line + b"\n" for line in lines))
        file.flush()
        return list(read_feeds([Path(file.name)]))


def metered(
    lines: Sequence[bytes],
    now_ms: int,
    turns: Iterable[Turn] = PLAIN,
    policy: Policy | None = None,
    partitions: int = 2,
) -> View:
    """The final view of a feed. The last tick comes after the turns, so that the last safe point is always said."""
    return view(driven(lines, now_ms, turns, policy, partitions))


def driven(
    lines: Sequence[bytes],
    now_ms: int,
    turns: Iterable[Turn] = PLAIN,
    policy: Policy | None = None,
    partitions: int = 2,
) -> MemoryLog:
    """All topics at the end of a feed."""
    return ended(Pipeline(lines, now_ms, policy or Policy(), partitions), turns).log


def ended(pipeline: Pipeline, turns: Iterable[Turn]) -> Pipeline:
    """The pipeline at the end of its feed."""
    pipeline.run(turns)
    pipeline.close()
    pipeline.run()
    return pipeline
