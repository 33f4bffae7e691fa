"""Whether every event is accounted for: what comparisons and dead letters are asked, and what has to be equal.

Comparisons of one offset come from every partition of wallets. Under load they come one by one, so the newest offset is
compared that all have told of. Dead letters of the same offset may still be on their way then, never too many.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from aggregator.core.reconciliation.differences import Difference
from aggregator.core.reconciliation.sums import EVENTS, LEDGER_BALANCES, Row
from schemas.event_counts import EventCounts
from schemas.topics import CHAT_EVENTS, WALLET_INPUTS

_COUNTS: Final = EventCounts.__struct_fields__
_CLASSES: Final = ("messages", "occurrences", "duplicates", "refused", "ticks")


class ComparedOffset(NamedTuple):
    """An offset of one partition of chat-events that all partitions of wallets have told of. `variants` of the counts
    were told; more than one is an error. `taken_*` are added up over those partitions.
    """

    partition: int
    offset: int
    variants: int
    wallet_messages: int
    wallet_occurrences: int
    counts: EventCounts

    @property
    def scope(self) -> str:
        """For people."""
        return partition_name(CHAT_EVENTS.name, self.partition)


class ExpectedDeadLetters(NamedTuple):
    """So many records of a partition were refused, up to and with an offset: so many dead letters there are."""

    topic: str
    partition: int
    offset: int
    refused: int

    @property
    def scope(self) -> str:
        """For people."""
        return partition_name(self.topic, self.partition)


def partition_name(topic: str, partition: int) -> str:
    """A partition, for people."""
    return f"{topic}/{partition}"


def compared_offsets() -> str:
    """Asks for the newest compared offset of each partition."""
    counts = ", ".join(f"any({name})" for name in _COUNTS)
    return f"""SELECT origin_partition, origin_offset, uniqExact({", ".join(_COUNTS)}),
        sum(wallet_messages), sum(wallet_occurrences), {counts}
        FROM event_count_facts FINAL GROUP BY origin_partition, origin_offset
        HAVING count() >= max(wallet_partitions)
        ORDER BY origin_partition, origin_offset DESC LIMIT 1 BY origin_partition"""


def read_compared_offsets(rows: Iterable[Row]) -> list[ComparedOffset]:
    """The compared offsets of an answer."""
    return [
        ComparedOffset(partition, offset, variants, messages, occurrences, EventCounts(*counts))
        for partition, offset, variants, messages, occurrences, *counts in rows
    ]


def inputs() -> str:
    """Asks for what the newest comparison of each partition of wallets says of its inputs, and of its workspaces."""
    return """SELECT wallet_partition, max(version), argMax(refused_inputs, version), argMax(workspaces, version)
        FROM event_count_facts FINAL GROUP BY wallet_partition ORDER BY wallet_partition"""


def expected_dead_letters(found: Iterable[ComparedOffset], told: Iterable[Row]) -> Iterator[ExpectedDeadLetters]:
    """What dead letters there have to be."""
    for compared in found:
        yield ExpectedDeadLetters(CHAT_EVENTS.name, compared.partition, compared.offset, compared.counts.refused)
    for partition, version, refused, _ in told:
        yield ExpectedDeadLetters(WALLET_INPUTS.name, partition, version, refused)


class ExpectedWorkspaces(NamedTuple):
    """So many workspaces of a partition of wallets have begun, up to and with an offset: so many have a balance."""

    partition: int
    version: int
    workspaces: int

    @property
    def scope(self) -> str:
        """For people."""
        return partition_name(WALLET_INPUTS.name, self.partition)


def expected_workspaces(told: Iterable[Row]) -> Iterator[ExpectedWorkspaces]:
    """What workspaces there have to be."""
    for partition, version, _, workspaces in told:
        yield ExpectedWorkspaces(partition, version, workspaces)


def balances(expected: Iterable[ExpectedWorkspaces]) -> str:
    """Asks how many workspaces of each expectation have a balance, and for the newest balance there. At least one is expected.

    Pages of a partition come in the order of their versions: once one is newer than the expected one, all of the expected came.
    """
    cases = ", ".join(f"wallet_partition = {each.partition}, {each.version}" for each in expected)
    return f"""SELECT wallet_partition, countIf(since >= 0 AND since <= multiIf({cases}, -1)), max(version)
        FROM balance_facts FINAL GROUP BY wallet_partition"""


def of_workspaces(expected: ExpectedWorkspaces, found: int) -> Difference:
    """Workspaces that are gone, or too many."""
    row = f"begun up to offset {expected.version}"
    return Difference(
        LEDGER_BALANCES,
        expected.scope,
        row,
        "workspaces",
        "event_count_facts",
        expected.workspaces,
        "balance_facts",
        found,
    )


def letters(expected: Iterable[ExpectedDeadLetters]) -> str:
    """Asks how many dead letters there are of each expectation. At least one is expected."""
    wanted = " OR ".join(
        f"(source_topic = '{each.topic}' AND source_partition = {each.partition} AND source_offset <= {each.offset})"
        for each in expected
    )
    return f"""SELECT source_topic, source_partition, count() FROM dead_letter_facts FINAL WHERE {wanted}
        GROUP BY source_topic, source_partition"""


def of_offset(compared: ComparedOffset) -> Iterator[Difference]:
    """What differs at one offset."""
    counts = compared.counts
    figures = (
        (
            "events",
            "event_count_facts",
            counts.events,
            "event_count_facts",
            sum(getattr(counts, name) for name in _CLASSES),
        ),
        (
            "messages of closed conversations",
            "sessionizer",
            counts.closed_messages,
            "wallets",
            compared.wallet_messages,
        ),
        ("occurrences", "sessionizer", counts.occurrences, "wallets", compared.wallet_occurrences),
        ("versions of one offset", "event_count_facts", compared.variants, "event_count_facts", 1),
    )
    for figure, one_table, one, other_table, other in figures:
        if one != other:
            row = f"offset {compared.offset}"
            yield Difference(EVENTS, compared.scope, row, figure, one_table, one, other_table, other)


def of_dead_letters(expected: ExpectedDeadLetters, found: int) -> Difference:
    """Dead letters that are missing, or too many."""
    row = f"up to offset {expected.offset}"
    return Difference(
        EVENTS, expected.scope, row, "refused", "event_count_facts", expected.refused, "dead_letter_facts", found
    )
