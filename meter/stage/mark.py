"""The mark of a checkpoint: what a restore has to know before it may use the blocks.

A mark names the life of its topics. All offsets in a checkpoint are offsets of that life, so a worker compares it with
the life that the brokers have now, before it processes a record.
"""

from typing import Final, NamedTuple

import msgspec

from schemas.formats import STATE_FORMAT, refuse_newer
from schemas.topic_identity import TopicIdentity


class Version(NamedTuple):
    """When a block or a mark was written: the input offset, within a generation. A later generation is newer."""

    generation: int
    offset: int


NO_VERSION: Final = Version(-1, -1)
"""Older than every version that is written."""


class Life(msgspec.Struct, frozen=True, array_like=True):
    """The life of a stage's topics: their identities, and its number.

    `generation` is 0 at first. It grows with each act after which offsets mean something else or do not follow each
    other: the topics are repartitioned, created again, or a loss is accepted.
    """

    generation: int
    source: TopicIdentity
    state: TopicIdentity


NO_LIFE: Final = Life(0, TopicIdentity("", "", 0), TopicIdentity("", "", 0))
"""The life of a fold that no stage runs."""


class Mark(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The value of a mark. Its input offset is in a header of its record, like those of blocks.

    `floor`: entries as of this input offset or before do not count. `left_out`: the offsets above the floor whose
    records were left out, because workers died of them (docs/adr/0021). `fold`: the fold's own part (`State.mark`).
    `epoch`: the leader epoch of the last record that was read, or a later one; -1 if it is not known, as in format 1.
    """

    format: int
    life: Life
    floor: int
    left_out: tuple[int, ...]
    fold: bytes
    epoch: int = -1


class _Format(msgspec.Struct, array_like=True):
    """The first field of every format of a mark."""

    format: int


encode_mark = msgspec.msgpack.Encoder().encode
_decode_format = msgspec.msgpack.Decoder(_Format).decode
_decode = msgspec.msgpack.Decoder(Mark).decode


def new_mark(life: Life, floor: int, left_out: tuple[int, ...], fold: bytes, epoch: int = -1) -> Mark:
    """Return a mark of the present format."""
    return Mark(STATE_FORMAT, life, floor, left_out, fold, epoch)


def decode_mark(value: bytes, where: str) -> Mark:
    """Read a mark. `where` names its topic and partition.

    Raises NewerFormatError where a newer version of the product wrote it, ValueError where it cannot be read.
    """
    refuse_newer(f"the state in {where}", _decode_format(value).format, STATE_FORMAT)
    return _decode(value)
