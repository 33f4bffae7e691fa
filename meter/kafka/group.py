"""This worker's place in its consumer group, and the group's offsets: the `Group` of a stage."""

from typing import cast

from faust import App
from faust.types import TP

from meter.kafka.offsets import ConsumerOffsets


class FaustGroup:
    """The `Group` of a running Faust app."""

    def __init__(self, app: App) -> None:
        self._app = app

    @property
    def generation(self) -> int:
        """The number of the distribution of partitions that this worker knows."""
        return int(self._app.consumer_generation_id)

    @property
    def is_moving(self) -> bool:
        """Whether partitions are being distributed anew."""
        return bool(self._app.rebalancing)

    def assigned(self, topic: str) -> list[TP]:
        """This worker's partitions of a topic."""
        return sorted(tp for tp in self._app.consumer.assignment() if tp.topic == topic)

    def end(self, tp: TP) -> int:
        """Where the partition ends, as the last fetch saw it; 0 if none has."""
        return self._offsets.known_end(tp) or 0

    async def beginning(self, tp: TP) -> int:
        """The oldest offset that the partition still has."""
        return await self._offsets.beginning_of(tp)

    async def position(self, tp: TP) -> int | None:
        """The offset that the consumer fetches next; None while it has not settled on one."""
        return await self._offsets.next_position(tp)

    async def seek(self, tp: TP, offset: int) -> None:
        """Go on fetching at `offset`."""
        await self._offsets.seek_to(tp, offset)

    async def commit(self, tp: TP, offset: int) -> bool:
        """Make `offset` the group's next one. False if the group has moved on without this worker."""
        return await self._offsets.commit_offsets({tp: offset})

    @property
    def _offsets(self) -> ConsumerOffsets:
        return cast(ConsumerOffsets, self._app.consumer)
