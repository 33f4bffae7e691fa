"""The identity of a topic: which cluster it is in, which life of its name it is, and how many partitions it has.

An offset means a record only within one life of a topic. A topic that was deleted and created again has the same name
and other records, but another topic id.
"""

from collections.abc import Mapping

import msgspec


class TopicIdentity(msgspec.Struct, frozen=True, array_like=True):
    """The identity of one topic, as a broker gives it.

    `cluster_id` and `topic_id` are "" where the broker does not give them. `partitions` is always known.
    """

    cluster_id: str
    topic_id: str
    partitions: int

    def is_same_life(self, other: "TopicIdentity") -> bool:
        """Whether both can be the same life of one topic of the same cluster. An unknown id equals every id."""
        return _equal(self.cluster_id, other.cluster_id) and _equal(self.topic_id, other.topic_id)


def uneven(partitions: Mapping[str, int]) -> str | None:
    """The message for topics with different numbers of partitions, without a period; None if all have the same.

    `partitions` are the numbers by name of topic. A workspace has the same partition number on every topic, so they
    must have the same number.
    """
    by_count: dict[int, list[str]] = {}
    for name, count in partitions.items():
        by_count.setdefault(count, []).append(name)
    if len(by_count) <= 1:
        return None
    counts = "; ".join(f"{count}: {', '.join(names)}" for count, names in sorted(by_count.items()))
    return (
        f"the topics must all have the same number of partitions, and have {counts}; if partitions were added, run "
        f"`python -m meter repartition --to {max(by_count)} --yes`; delete a topic that was created by mistake and run "
        "`KAFKA_PARTITIONS=N python -m meter topics`, or empty all with `python -m meter begin-anew`"
    )


def _equal(one: str, other: str) -> bool:
    return not one or not other or one == other
