"""The port `Group` of a stage (`meter/stage/ports.py`), implemented by a running Faust app."""

from typing import cast

from faust import App
from faust.types import TP

from meter.kafka.offsets import ConsumerOffsets


class FaustGroup:
    """This worker's place in its consumer group, as Faust knows it, and the group's offsets."""

    def __init__(self, app: App) -> None:
        self._app = app

    @property
    def generation(self) -> int:
        """The number of the newest assignment that this worker knows."""
        return int(self._app.consumer_generation_id)

    @property
    def is_moving(self) -> bool:
        """Whether partitions are being assigned again at this moment."""
        return bool(self._app.rebalancing)

    def assigned(self, topic: str) -> list[TP]:
        """Return this worker's partitions of a topic, in order."""
        return sorted(tp for tp in self._app.consumer.assignment() if tp.topic == topic)

    def end(self, tp: TP) -> int:
        """Return the offset after the partition's last record, as the last fetch reported it; 0 before the first."""
        return self._offsets.known_end(tp) or 0

    async def beginning(self, tp: TP) -> int:
        """Return the oldest offset that the broker still has."""
        return await self._offsets.beginning_of(tp)

    async def committed(self, tp: TP) -> int | None:
        """Return the offset that the group has committed; None if it never committed one."""
        return await self._offsets.committed_offset(tp)

    async def position(self, tp: TP) -> int | None:
        """Return the offset that is fetched next; None while the consumer has not settled on one."""
        return await self._offsets.next_position(tp)

    async def seek(self, tp: TP, offset: int) -> None:
        """Fetch from `offset` on."""
        await self._offsets.seek_to(tp, offset)

    async def commit(self, tp: TP, offset: int) -> bool:
        """Commit `offset` as the group's next one; False if the partition is not this worker's any more."""
        return await self._offsets.commit_offsets({tp: offset})

    @property
    def _offsets(self) -> ConsumerOffsets:
        return cast(ConsumerOffsets, self._app.consumer)
