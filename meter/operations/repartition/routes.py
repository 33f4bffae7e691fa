"""The routes of a repartition: which partitions get state from which, and in which partition a workspace is then."""

from math import gcd
from typing import NamedTuple

from meter.kafka.home import home_of
from schemas.layout import LayoutRecord


class Routes(NamedTuple):
    """A change from `before` partitions to `after`, whose state is written in generation `generation`.

    A workspace's partition is its hash modulo the number. So partition s gives to t only if both leave the same rest
    modulo the greatest common divisor of the numbers: that rest names a group of partitions.
    """

    before: int
    after: int
    generation: int

    @classmethod
    def of(cls, layout: LayoutRecord) -> "Routes":
        """Return the routes of a repartition that has begun."""
        return cls(layout.before, layout.partitions, layout.generation)

    @property
    def groups(self) -> int:
        """The number of groups."""
        return gcd(self.before, self.after)

    def group(self, partition: int) -> int:
        """Return the group of a partition, of either number."""
        return partition % self.groups

    def sources(self, group: int) -> range:
        """Return the former partitions of a group."""
        return range(group, self.before, self.groups)

    def targets(self, group: int) -> range:
        """Return the partitions of a group that there are afterwards."""
        return range(group, self.after, self.groups)

    def target(self, source: int, workspace_id: str) -> int:
        """Return the partition of a workspace whose state lies in partition `source`."""
        target = home_of(workspace_id, self.after)
        assert self.group(target) == self.group(source), "a workspace's state lies in its partition"
        return target
