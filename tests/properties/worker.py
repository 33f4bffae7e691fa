"""One partition of one stage in one process, and its checkpoints: every effect is one step of a generator."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from random import Random

from meter.kafka.records import Record
from meter.stage.blocks import Loading, pack, unpack
from meter.stage.fold import Fold, MakeFold, Output, State
from meter.stage.mark import NO_LIFE, Life
from schemas.topics import Topic
from tests.packed_records import listed
from tests.properties.memory_log import MemoryLog


class Store:
    """The checkpoints of one partition: entries, each as of an input offset, and marks."""

    def __init__(self) -> None:
        self._marks: dict[int, bytes] = {}
        self._blocks: list[tuple[int, bytes]] = []
        self.floor = -1
        """Blocks as of this offset or before do not count."""

    def put(self, offset: int, block: bytes) -> None:
        self._blocks.append((offset, block))

    def complete(self, offset: int, mark: bytes) -> None:
        self._marks[offset] = mark

    def restore(self, state: State) -> int:
        """Load what the newest mark covers; its offset, -1 without one."""
        last = self._load(state.load)
        state.finish(self._marks.get(last), self.floor)
        return last

    @property
    def newest(self) -> tuple[int, bytes | None]:
        """The newest mark and its offset; -1 without one."""
        last = max(self._marks, default=-1)
        return last, self._marks.get(last)

    def held(self) -> dict[bytes, bytes]:
        """What a restore would find."""
        loading = Loading()
        self._load(loading.load)
        return loading.finish(self.floor)

    def _load(self, load: Callable[[int, bytes], None]) -> int:
        last = max(self._marks, default=-1)
        for offset, block in self._blocks:
            if offset <= last:
                load(offset, block)
        return last


class Worker:
    """One partition of one stage, as long as one process holds it."""

    def __init__(
        self, log: MemoryLog, source: Topic, partition: int, store: Store, make_fold: MakeFold, life: Life = NO_LIFE
    ) -> None:
        self._log = log
        self._store = store
        self._partitions = log.number
        self._source = log.topics[source.name, partition]
        self.fold: Fold = make_fold(partition, log.number)
        self.next_offset = self.saved_offset = store.restore(self.fold) + 1
        self.fold.begin(life)
        self._confirmed = self.next_offset == 0
        self._fetched_offset: int | None = None

    @property
    def has_work(self) -> bool:
        """Whether there are records that it has not read, or a checkpoint it found that it has not confirmed."""
        return self.next_offset < len(self._source) or not self._confirmed

    def fetch_no_more(self) -> None:
        """Note that the process is paused: if it wakes, it has what it has fetched, and no more."""
        if self._fetched_offset is None:
            self._fetched_offset = len(self._source)

    def turn(self, records: int, *, checkpoint: bool, order: int) -> Iterator[None]:
        """Take a batch, and a checkpoint if asked to; pauses after each effect."""
        if not self._confirmed:
            self._confirmed = True
            yield from self._send(self.fold.confirm(self.saved_offset - 1), order)
        end = self.next_offset + records
        batch = self._source[self.next_offset : end if self._fetched_offset is None else min(end, self._fetched_offset)]
        if batch:
            yield from self._send(self.fold.process(batch), order)
            self.next_offset += len(batch)
        if checkpoint and self.next_offset > self.saved_offset:
            yield from self._checkpoint(self.next_offset - 1, order)

    def _checkpoint(self, offset: int, order: int) -> Iterator[None]:
        mark = self.fold.mark()
        for entry in (entry for block in self.fold.changed() for entry in unpack(block)):
            self._store.put(offset, *pack([entry]))
            yield
        self._store.complete(offset, mark)
        yield
        yield from self._send(self.fold.confirm(offset), order)
        self.saved_offset = offset + 1

    def _send(self, outputs: Iterable[Output], order: int) -> Iterator[None]:
        """Each record in order of its partition. Partitions do not wait for one another: `order` says who goes next."""
        queues: defaultdict[tuple[str, int], deque[Record]] = defaultdict(deque)
        for output in outputs:
            for record in listed(output.records):
                home = (
                    self._log.place(record.key or b"", self._partitions)
                    if output.partition is None
                    else output.partition
                )
                queues[output.topic.name, home].append(record)
        rng = Random(order)
        while queues:
            place = rng.choice(list(queues))
            self._log.add(*place, queues[place].popleft())
            if not queues[place]:
                del queues[place]
            yield
