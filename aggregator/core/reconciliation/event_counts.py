"""Whether every event is accounted for: what tallies and dead letters are asked, and what has to be equal.

Tallies of one offset come from every partition of wallets. Under load they come one by one, so the newest offset is
compared that all have told of. Dead letters of the same offset may still be on their way then, never too many.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from aggregator.core.reconciliation.differences import Difference
from aggregator.core.reconciliation.sums import EVENTS, LEDGER_BALANCES, Row
from schemas.tallies import EventCounts
from schemas.topics import CHAT_EVENTS, WALLET_INPUTS

_COUNTS: Final = EventCounts.__struct_fields__
_CLASSES: Final = ("messages", "occurrences", "duplicates", "refused", "ticks")


class Point(NamedTuple):
    """An offset of one partition of chat-events that all partitions of wallets have told of. `variants` of the counts
    were told; more than one is an error. `taken_*` are added up over those partitions.
    """

    partition: int
    offset: int
    variants: int
    taken_messages: int
    taken_occurrences: int
    counts: EventCounts

    @property
    def place(self) -> str:
        """For people."""
        return place(CHAT_EVENTS.name, self.partition)


class Claim(NamedTuple):
    """So many records of a partition were refused, up to and with an offset: so many dead letters there are."""

    topic: str
    partition: int
    offset: int
    refused: int

    @property
    def place(self) -> str:
        """For people."""
        return place(self.topic, self.partition)


def place(topic: str, partition: int) -> str:
    """A partition, for people."""
    return f"{topic}/{partition}"


def points() -> str:
    """Asks for the newest point of each partition."""
    counts = ", ".join(f"any({name})" for name in _COUNTS)
    return f"""SELECT origin_partition, origin_offset, uniqExact({", ".join(_COUNTS)}),
        sum(taken_messages), sum(taken_occurrences), {counts}
        FROM tally_facts FINAL GROUP BY origin_partition, origin_offset
        HAVING count() >= max(wallet_partitions)
        ORDER BY origin_partition, origin_offset DESC LIMIT 1 BY origin_partition"""


def read_points(rows: Iterable[Row]) -> list[Point]:
    """The points of an answer."""
    return [
        Point(partition, offset, variants, messages, occurrences, EventCounts(*counts))
        for partition, offset, variants, messages, occurrences, *counts in rows
    ]


def inputs() -> str:
    """Asks for what the newest tally of each partition of wallets says of its inputs, and of its workspaces."""
    return """SELECT wallet_partition, max(version), argMax(refused_inputs, version), argMax(workspaces, version)
        FROM tally_facts FINAL GROUP BY wallet_partition ORDER BY wallet_partition"""


def claims(found: Iterable[Point], told: Iterable[Row]) -> Iterator[Claim]:
    """What dead letters there have to be."""
    for point in found:
        yield Claim(CHAT_EVENTS.name, point.partition, point.offset, point.counts.refused)
    for partition, version, refused, _ in told:
        yield Claim(WALLET_INPUTS.name, partition, version, refused)


class Begun(NamedTuple):
    """So many workspaces of a partition of wallets have begun, up to and with an offset: so many have a balance."""

    partition: int
    version: int
    workspaces: int

    @property
    def place(self) -> str:
        """For people."""
        return place(WALLET_INPUTS.name, self.partition)


def begun(told: Iterable[Row]) -> Iterator[Begun]:
    """What workspaces there have to be."""
    for partition, version, _, workspaces in told:
        yield Begun(partition, version, workspaces)


def balances(claimed: Iterable[Begun]) -> str:
    """Asks how many workspaces of each claim have a balance, and for the newest balance there. At least one claim.

    Pages of a partition come in the order of their versions: once one is newer than the claim, all of the claim's came.
    """
    cases = ", ".join(f"wallet_partition = {each.partition}, {each.version}" for each in claimed)
    return f"""SELECT wallet_partition, countIf(since >= 0 AND since <= multiIf({cases}, -1)), max(version)
        FROM balance_facts FINAL GROUP BY wallet_partition"""


def of_begun(claim: Begun, found: int) -> Difference:
    """Workspaces that are gone, or too many."""
    row = f"begun up to offset {claim.version}"
    return Difference(
        LEDGER_BALANCES, claim.place, row, "workspaces", "tally_facts", claim.workspaces, "balance_facts", found
    )


def letters(claimed: Iterable[Claim]) -> str:
    """Asks how many dead letters there are of each claim. At least one claim."""
    wanted = " OR ".join(
        f"(source_topic = '{each.topic}' AND source_partition = {each.partition} AND source_offset <= {each.offset})"
        for each in claimed
    )
    return f"""SELECT source_topic, source_partition, count() FROM dead_letter_facts FINAL WHERE {wanted}
        GROUP BY source_topic, source_partition"""


def of_point(point: Point) -> Iterator[Difference]:
    """What differs at one point."""
    counts = point.counts
    compared = (
        ("events", "tally_facts", counts.events, "tally_facts", sum(getattr(counts, name) for name in _CLASSES)),
        ("messages of closed conversations", "sessionizer", counts.closed_messages, "wallets", point.taken_messages),
        ("occurrences", "sessionizer", counts.occurrences, "wallets", point.taken_occurrences),
        ("tellings of one offset", "tally_facts", point.variants, "tally_facts", 1),
    )
    for figure, one_table, one, other_table, other in compared:
        if one != other:
            row = f"offset {point.offset}"
            yield Difference(EVENTS, point.place, row, figure, one_table, one, other_table, other)


def of_claim(claim: Claim, found: int) -> Difference:
    """Dead letters that are missing, or too many."""
    row = f"up to offset {claim.offset}"
    return Difference(EVENTS, claim.place, row, "refused", "tally_facts", claim.refused, "dead_letter_facts", found)
