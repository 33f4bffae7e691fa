"""The layout record: how many partitions the topics have, and how far a change of that number has come (docs/adr/0029).

Layout records lie in partition 0 of the topic `policies`, among the versions of the policy. The newest one that counts
is the layout. Every worker compares it with the topics before it starts: a partition without a checkpoint does not
show whether it is new.
"""

from typing import Annotated, Literal

import msgspec

Step = Literal["done", "begun", "copied", "marked"]
"""done: workers may run; begun: state is being copied; copied: the new marks are decided; marked: they are written."""

Count = Annotated[int, msgspec.Meta(ge=0)]


class DecidedMark(msgspec.Struct, frozen=True, array_like=True):
    """The mark with which a partition of the state topic `topic` goes on, as of input `offset`, -1 for none."""

    topic: str
    partition: Count
    offset: int
    value: bytes


class LayoutRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="meter.layout"):
    """One step of a layout. `generation` is that of the state that is written (`schemas/versions.py`).

    `partitions` is the number that all topics have, or get; `before` the one that they had. `owner` is a random word of
    the command that copies. `marks` are those of all state topics, from `copied` on.
    """

    generation: Count
    partitions: Annotated[int, msgspec.Meta(ge=1)]
    step: Step = "done"
    before: Count = 0
    owner: str = ""
    marks: tuple[DecidedMark, ...] = ()

    def counts_after(self, last: "LayoutRecord | None") -> bool:
        """Whether this record counts if `last` is the last one that does; None if none does yet.

        Of two commands that repartition at once, only the one that began last can come to an end.
        """
        if last is None:
            return self.step == "done"
        is_same = (self.generation, self.partitions, self.before) == (last.generation, last.partitions, last.before)
        match self.step:
            case "begun":
                is_later = self.generation > last.generation and self.partitions > last.partitions == self.before
                return (last.step == "begun" and is_same) or (last.step == "done" and is_later)
            case "copied":
                return last.step == "begun" and is_same and self.owner == last.owner
            case "marked":
                return last.step == "copied" and is_same
            case _:
                return last.step == "marked" and is_same


encode_layout = msgspec.json.Encoder().encode
decode_layout = msgspec.json.Decoder(LayoutRecord).decode
"""bytes -> LayoutRecord. Raises msgspec.MsgspecError or UnicodeDecodeError."""
