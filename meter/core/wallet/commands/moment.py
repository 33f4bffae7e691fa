"""The moment at which a command is applied."""

from typing import NamedTuple


class Moment(NamedTuple):
    """The workspace's clock, which is 0 before its first event; and when Kafka received the command."""

    clock_ms: int
    arrived_ms: int

    @property
    def begun_ms(self) -> int:
        """The time up to which grants have begun. Before the first event there is no event time but the arrival."""
        return self.clock_ms or self.arrived_ms
