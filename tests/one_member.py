"""A group with one member that owns partition 0 of each topic and never loses it: the port `Group` of a stage."""

from collections.abc import Callable

from faust.types import TP


class OneMember:
    """The group. `end_of` gives the offset after a partition's last record."""

    generation = 1
    is_moving = False

    def __init__(self, end_of: Callable[[TP], int]) -> None:
        self.end = end_of

    def assigned(self, topic: str) -> list[TP]:
        return [TP(topic, 0)]

    async def beginning(self, _: TP) -> int:
        return 0

    async def committed(self, _: TP) -> int | None:
        return None

    async def position(self, _: TP) -> int | None:
        return None

    async def seek(self, _: TP, __: int) -> None:
        raise AssertionError("nothing is dropped here")

    async def commit(self, _: TP, __: int) -> bool:
        return True
