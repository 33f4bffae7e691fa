"""The contents of a state topic as a restore reads them: marks and blocks, without those that were removed."""

from typing import Final, NamedTuple

from aiokafka import ConsumerRecord

from meter.stage.evidence import Evidence
from meter.stage.fold import State
from meter.stage.mark import NO_VERSION, Mark, Version, decode_mark
from schemas.formats import STATE_FORMAT, refuse_newer
from schemas.headers import Headers

FENCE: Final = b"f"
MARK: Final = b"m"
BLOCK: Final = b"b"

_OFFSET: Final = "offset"
_GENERATION: Final = "generation"
_FORMAT: Final = "format"


class Block(NamedTuple):
    """A block that is in the log: its version, the length of its value, and the format of its entries."""

    version: Version
    size_bytes: int
    format: int = STATE_FORMAT


class Marked(NamedTuple):
    """A mark that is in the log, with its version."""

    version: Version
    mark: Mark


class Found:
    """The marks and blocks of one partition of a state topic. Keeps the blocks' values if `keeps`."""

    def __init__(self, where: str, *, keeps: bool) -> None:
        self.marks: dict[bytes, Marked] = {}
        self.blocks: dict[bytes, Block] = {}
        self.evidence = Evidence()
        self._values: dict[bytes, bytes] = {}
        self._where = where
        self._keeps = keeps

    def add(self, record: ConsumerRecord) -> None:
        """Add the next record of the log. A record without a value removes the one with its key."""
        record_key: bytes = record.key
        if record_key == FENCE or self.evidence.add(record):
            return
        if record.value is None:
            self.marks.pop(record_key, None)
            self.blocks.pop(record_key, None)
            self._values.pop(record_key, None)
        elif record_key[:1] == BLOCK:
            version, written_format = _read(record)
            self.blocks[record_key] = Block(version, len(record.value), written_format)
            if self._keeps:
                self._values[record_key] = record.value
        else:
            self.marks[record_key] = Marked(_read(record)[0], decode_mark(record.value, self._where))

    def newest(self) -> Marked | None:
        """The mark with the highest version; None if there is no mark."""
        return max(self.marks.values(), key=lambda marked: marked.version, default=None)

    def floor(self, newest: Marked | None) -> Version:
        """The version up to which blocks do not count: the highest floor of any mark of the newest generation."""
        if newest is None:
            return NO_VERSION
        generation = newest.version.generation
        marks = [marked.mark.floor for marked in self.marks.values() if marked.version.generation == generation]
        return Version(generation, max(marks))

    def counting(self, newest: Marked | None) -> dict[bytes, Block]:
        """Return the blocks whose entries count, by record key. Raises NewerFormatError if one has a newer format."""
        if newest is None:
            return {}
        floor = self.floor(newest)
        counting = {key: block for key, block in self.blocks.items() if floor < block.version <= newest.version}
        for block in counting.values():
            refuse_newer(f"the state in {self._where}", block.format, STATE_FORMAT)
        return counting

    def load(self, state: State, counting: dict[bytes, Block]) -> None:
        """Load the blocks that count. The newest are first, so that older entries cost little."""
        for record_key, block in sorted(counting.items(), key=lambda each: each[1].version, reverse=True):
            state.load(block.version.offset, self._values[record_key])


def headers_of(version: Version) -> Headers:
    """Return the headers of a record of a checkpoint: its version, and the format of what it holds."""
    return [
        (_OFFSET, str(version.offset).encode()),
        (_GENERATION, str(version.generation).encode()),
        (_FORMAT, str(STATE_FORMAT).encode()),
    ]


def _read(record: ConsumerRecord) -> tuple[Version, int]:
    headers = dict(record.headers)
    return Version(int(headers[_GENERATION]), int(headers[_OFFSET])), int(headers[_FORMAT])
