"""Event counts: the SQL that reads what the meter counted, and what has to be equal to it.

A partition of wallet-inputs writes comparisons for offsets of chat-events in the partition with its own number. The
newest offset is compared (docs/adr/0009). Dead letters up to that offset may still be on their way to ClickHouse, and
so may balances. Until they are there, too few of them is no difference.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from aggregator.core.reconciliation.differences import Difference
from aggregator.core.reconciliation.sums import EVENTS, LEDGER_BALANCES, Row
from schemas.event_counts import EventCounts
from schemas.topics import CHAT_EVENTS, WALLET_INPUTS
from schemas.versions import offset_of

_COUNTS: Final = EventCounts.__struct_fields__
_CLASSES: Final = ("messages", "occurrences", "duplicates", "refused", "ticks", "moved")
"""The classes of events: each event is in exactly one. A moved one is counted again where it was moved to."""


def partition_name(topic: str, partition: int) -> str:
    """TOPIC/PARTITION: the scope of a difference that concerns a partition."""
    return f"{topic}/{partition}"


# What was counted.


class ComparedOffset(NamedTuple):
    """The newest offset of a partition of chat-events that its wallets have compared.

    `variants` is how many different `counts` the comparisons hold; more than 1 is a difference. `wallet_messages` and
    `wallet_occurrences` are what the wallets have processed.
    """

    partition: int
    offset: int
    variants: int
    wallet_messages: int
    wallet_occurrences: int
    counts: EventCounts

    @property
    def scope(self) -> str:
        """The partition, as a difference names it."""
        return partition_name(CHAT_EVENTS.name, self.partition)


class ExpectedDeadLetters(NamedTuple):
    """The number of dead letters that have to exist of a partition, up to and including an offset: `refused`."""

    topic: str
    partition: int
    offset: int
    refused: int

    @property
    def scope(self) -> str:
        """The partition, as a difference names it."""
        return partition_name(self.topic, self.partition)


class ExpectedWorkspaces(NamedTuple):
    """The number of workspaces that began in a partition of wallet-inputs, up to and including the offset `version`.

    Each of them has to have a balance.
    """

    partition: int
    version: int
    workspaces: int

    @property
    def scope(self) -> str:
        """The partition, as a difference names it."""
        return partition_name(WALLET_INPUTS.name, self.partition)


def compared_offsets_sql() -> str:
    """Selects the newest compared offset of each partition of chat-events, for `read_compared_offsets`."""
    counts = ", ".join(f"any({name})" for name in _COUNTS)
    return f"""SELECT origin_partition, origin_offset, uniqExact({", ".join(_COUNTS)}),
        sum(wallet_messages), sum(wallet_occurrences), {counts}
        FROM event_count_facts FINAL GROUP BY origin_partition, origin_offset
        ORDER BY origin_partition, origin_offset DESC LIMIT 1 BY origin_partition"""


def read_compared_offsets(rows: Iterable[Row]) -> list[ComparedOffset]:
    """The compared offsets in an answer to `compared_offsets_sql`."""
    return [
        ComparedOffset(partition, offset, variants, messages, occurrences, EventCounts(*counts))
        for partition, offset, variants, messages, occurrences, *counts in rows
    ]


def wallet_inputs_sql() -> str:
    """Selects the newest comparison of each partition of wallet-inputs: partition, version, refused inputs, workspaces.

    One row a partition. `version` is the offset up to which the two counts hold.
    """
    return """SELECT wallet_partition, max(version), argMax(refused_inputs, version), argMax(workspaces, version)
        FROM event_count_facts FINAL GROUP BY wallet_partition ORDER BY wallet_partition"""


def expected_dead_letters(offsets: Iterable[ComparedOffset], inputs: Iterable[Row]) -> Iterator[ExpectedDeadLetters]:
    """The dead letters that have to exist. `inputs` is an answer to `wallet_inputs_sql`."""
    for compared in offsets:
        offset = offset_of(compared.offset)
        yield ExpectedDeadLetters(CHAT_EVENTS.name, compared.partition, offset, compared.counts.refused)
    for partition, version, refused, _ in inputs:
        yield ExpectedDeadLetters(WALLET_INPUTS.name, partition, offset_of(version), refused)


def expected_workspaces(inputs: Iterable[Row]) -> Iterator[ExpectedWorkspaces]:
    """The workspaces that have to have a balance. `inputs` is an answer to `wallet_inputs_sql`."""
    for partition, version, _, workspaces in inputs:
        yield ExpectedWorkspaces(partition, version, workspaces)


# What the tables hold of it.


def dead_letter_counts_sql(expected: Iterable[ExpectedDeadLetters]) -> str:
    """Selects (topic, partition, number of dead letters) for each expectation. At least one is needed."""
    wanted = " OR ".join(
        f"(source_topic = '{each.topic}' AND source_partition = {each.partition} AND source_offset <= {each.offset})"
        for each in expected
    )
    return f"""SELECT source_topic, source_partition, count() FROM dead_letter_facts FINAL WHERE {wanted}
        GROUP BY source_topic, source_partition"""


def balance_counts_sql(expected: Iterable[ExpectedWorkspaces]) -> str:
    """Selects (partition, number of expected workspaces with a balance, newest version). At least one is needed.

    Updates of a partition are written in the order of their versions. So once its newest version is above the
    expectation's, every balance that is expected has been written.
    """
    cases = ", ".join(f"wallet_partition = {each.partition}, {each.version}" for each in expected)
    return f"""SELECT wallet_partition, countIf(since >= 0 AND since <= multiIf({cases}, -1)), max(version)
        FROM balance_facts FINAL GROUP BY wallet_partition"""


# What differs.


def of_offset(compared: ComparedOffset) -> Iterator[Difference]:
    """The differences among the counts of one compared offset."""
    counts, table = compared.counts, "event_count_facts"
    in_classes = sum(getattr(counts, name) for name in _CLASSES)
    closed = "messages of closed conversations"
    figures = (
        ("events", table, counts.events, table, in_classes),
        (closed, "sessionizer", counts.closed_messages, "wallets", compared.wallet_messages),
        ("occurrences", "sessionizer", counts.occurrences, "wallets", compared.wallet_occurrences),
        ("versions of one offset", table, compared.variants, table, 1),
    )
    for figure, one_table, one, other_table, other in figures:
        if one != other:
            row = f"offset {compared.offset}"
            yield Difference(EVENTS, compared.scope, row, figure, one_table, one, other_table, other)


def of_dead_letters(expected: ExpectedDeadLetters, found: int) -> Difference:
    """The difference where `found` dead letters are not the expected number."""
    row, table = f"up to offset {expected.offset}", "dead_letter_facts"
    return Difference(EVENTS, expected.scope, row, "refused", "event_count_facts", expected.refused, table, found)


def of_workspaces(expected: ExpectedWorkspaces, found: int) -> Difference:
    """The difference where `found` balances are not the expected number of workspaces."""
    row, table = f"up to offset {expected.version}", "balance_facts"
    begun = expected.workspaces
    return Difference(LEDGER_BALANCES, expected.scope, row, "workspaces", "event_count_facts", begun, table, found)
