"""Rounds: comparing all workspaces in ClickHouse, while rows are still being written (docs/adr/0009).

A *round* is one pass over all workspaces, in the order of their names. A *look* is one call, which compares as many
workspaces as its time allows: a part of a round. The next look goes on where the last one ended.

What is incomplete is not judged, but looked at again: a workspace with rows newer than its balance, which is written
last, or a partition with fewer dead letters or balances than were counted. What stays incomplete for the grace time
without a change is a difference, because its writing has stopped.
"""

import time
from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from aggregator.core.reconciliation import differences, event_counts, sums
from aggregator.core.reconciliation.differences import Difference
from aggregator.core.reconciliation.event_counts import ExpectedDeadLetters, ExpectedWorkspaces
from aggregator.core.reconciliation.sums import PAIRS, Row, Sums

Ask = Callable[[str], list[Row]]
"""Sends one SELECT to ClickHouse and returns the rows of the answer. May raise; the look ends with that error."""

CHUNK_WORKSPACES: Final = 200
"""Workspaces in one query. It bounds the size of an answer, and how long an insert waits behind a query."""

NAMED_SCOPES: Final = 20
"""Workspaces whose differing rows are named in one look. Of further ones it is only said that they differ."""

# The kinds of things that are judged. Differences are listed in the alphabetical order of these.
_BALANCE_COUNT: Final = "balance count"
_DEAD_LETTER_COUNT: Final = "dead letter count"
_EVENT_COUNTS: Final = "event counts"
_WORKSPACE: Final = "workspace"

_Key = tuple[str, str]
"""One thing that is judged: its kind, and its scope, which is a workspace's id or TOPIC/PARTITION."""


class Reconciliation:
    """Compares everything, look after look, and keeps the differences found so far.

    One instance goes through any number of rounds. Only one method may run at a time.
    """

    def __init__(self, ask: Ask, grace_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`grace_s` is how long something may stay incomplete without a change before it is a difference."""
        self._ask = ask
        self._grace_s = grace_s
        self._clock = clock
        self._after = ""
        """The last workspace that this round has compared. Empty at the beginning of a round."""
        self._incomplete: dict[_Key, tuple[object, float]] = {}
        """What is incomplete: its state, and the time in seconds since which it has had this state."""
        self._found: dict[_Key, tuple[object, list[Difference]]] = {}
        """What differs: the figures that were compared, and the differences among them."""
        self._missing_letters: dict[str, ExpectedDeadLetters] = {}
        """Expectations by partition that had too few dead letters. They are kept until the letters are there."""
        self._missing_workspaces: dict[str, ExpectedWorkspaces] = {}
        """Expectations by partition that had too few balances. They are kept until newer balances are there."""
        self._named = 0
        """Workspaces whose rows were named in this look."""
        self.partitions = 0
        """Partitions of chat-events whose counts could be compared in the last look."""
        self.workspaces = 0
        """Workspaces with a balance that this round has compared so far."""

    @property
    def differences(self) -> list[Difference]:
        """All differences that are known, partitions before workspaces, each kind in the order of its scopes."""
        return [each for _, (_, found) in sorted(self._found.items(), key=lambda item: item[0]) for each in found]

    @property
    def incomplete(self) -> int:
        """How many workspaces and partitions are not judged, because rows of them are still being written."""
        return sum(key not in self._found for key in self._incomplete)

    def scopes_by_pair(self) -> dict[str, int]:
        """How many scopes differ, for each pair. A pair without differences has 0."""
        counted = Counter(pair for pair, _ in {(each.pair, each.scope) for each in self.differences})
        return {pair: counted[pair] for pair in PAIRS}

    def look(self, budget_s: float = float("inf"), on_chunk: Callable[[int], None] = lambda _: None) -> bool:
        """Compare the events, and further workspaces for `budget_s` seconds, at least one chunk.

        Returns whether that ended a round. `on_chunk` is called after each chunk with its number of workspaces.
        """
        until = self._clock() + budget_s
        self._named = 0
        self._compare_events()
        while True:
            self._compare_next_chunk(on_chunk)
            if not self._after:
                return True
            if self._clock() >= until:
                return False

    def look_again(self) -> None:
        """Compare the events, and only those workspaces that were incomplete. The round does not move on."""
        self._compare_events()
        waiting = iter([name for kind, name in self._incomplete if kind == _WORKSPACE])
        while names := list(islice(waiting, CHUNK_WORKSPACES)):
            where = sums.among(names)
            self._judge_workspaces(where, self._ask(sums.balances_sql(where, len(names))))

    # Workspaces.

    def _compare_next_chunk(self, on_chunk: Callable[[int], None]) -> None:
        after = self._after
        if not after:
            self.workspaces = 0
        balances = self._ask(sums.balances_sql(sums.between(after, None), CHUNK_WORKSPACES))
        last = balances[-1][0] if len(balances) == CHUNK_WORKSPACES else None
        present = self._judge_workspaces(sums.between(after, last), balances)
        for name in [name for kind, name in self._found.keys() | self._incomplete.keys() if kind == _WORKSPACE]:
            if after < name and (last is None or name <= last) and name not in present:
                # No table has a row of it any more. The balance count of its partition shows that it is missing.
                self._mark_judged((_WORKSPACE, name), None, [])
        self._after = last or ""
        self.workspaces += len(balances)
        on_chunk(len(balances))

    def _judge_workspaces(self, where: str, balances: list[Row]) -> set[str]:
        """Judge the workspaces that `where` selects. Their balances were asked before. Returns their names."""
        found = sums.by_workspace(
            balances,
            self._ask(sums.ledgers_sql(where)),
            self._ask(sums.units_sql(where)),
            self._ask(sums.rollups_sql(where)),
        )
        for name, seen in found.items():
            key = _WORKSPACE, name
            if seen.is_complete:
                # The rows are named once for the same sums: naming takes queries of its own.
                self._mark_judged(key, seen, self._name_rows(seen) if self._is_new(key, seen) else None)
            elif self._has_stopped(key, (seen.balance.version, seen.newest)):
                self._found[key] = seen, [differences.of_incomplete(seen)]
        return set(found)

    def _name_rows(self, seen: Sums) -> list[Difference]:
        pairs = sums.unequal_pairs(seen)
        self._named += bool(pairs)
        return [each for pair in pairs for each in self._name_rows_of(pair, seen)]

    def _name_rows_of(self, pair: str, seen: Sums) -> list[Difference]:
        workspace_id = seen.balance.workspace_id
        if self._named > NAMED_SCOPES:
            return [differences.unnamed(pair, workspace_id)]
        named = list(differences.of_workspace(pair, seen))
        by_row = differences.BY_ROW.get(pair)
        if by_row is not None:
            named += by_row.differences(workspace_id, self._ask(by_row.sql(workspace_id)))
        if pair == sums.LEDGER_BALANCES and seen.ledger.entries < seen.balance.entries:
            missing = self._ask(differences.missing_entries_sql(workspace_id, seen.balance.entries))
            named += differences.of_missing_entries(workspace_id, missing)
        return named or [differences.unnamed(pair, workspace_id)]

    # Events, dead letters and the number of workspaces, by partition.

    def _compare_events(self) -> None:
        offsets = event_counts.read_compared_offsets(self._ask(event_counts.compared_offsets_sql()))
        self.partitions = len(offsets)
        for compared in offsets:
            self._mark_judged((_EVENT_COUNTS, compared.scope), compared, list(event_counts.of_offset(compared)))
        inputs = self._ask(event_counts.wallet_inputs_sql())
        letters = {each.scope: each for each in event_counts.expected_dead_letters(offsets, inputs)}
        workspaces = {each.scope: each for each in event_counts.expected_workspaces(inputs)}
        # An older expectation that is not met yet goes before the newest: else it might be put off for ever.
        self._compare_dead_letters(letters | self._missing_letters)
        self._compare_workspaces(workspaces | self._missing_workspaces)

    def _compare_dead_letters(self, expected_by_scope: dict[str, ExpectedDeadLetters]) -> None:
        if not expected_by_scope:
            return
        counts = {
            event_counts.partition_name(topic, partition): count
            for topic, partition, count in self._ask(event_counts.dead_letter_counts_sql(expected_by_scope.values()))
        }
        for scope, expected in expected_by_scope.items():
            self._judge_dead_letters(expected, counts.get(scope, 0))

    def _judge_dead_letters(self, expected: ExpectedDeadLetters, count: int) -> None:
        key, seen = (_DEAD_LETTER_COUNT, expected.scope), (expected, count)
        found = [event_counts.of_dead_letters(expected, count)] if count != expected.refused else []
        if count < expected.refused:
            self._missing_letters[expected.scope] = expected
            if self._has_stopped(key, seen):
                self._found[key] = seen, found
            return
        self._missing_letters.pop(expected.scope, None)
        self._mark_judged(key, seen, found)

    def _compare_workspaces(self, expected_by_scope: dict[str, ExpectedWorkspaces]) -> None:
        if not expected_by_scope:
            return
        rows = self._ask(event_counts.balance_counts_sql(expected_by_scope.values()))
        counts = {partition: (count, newest) for partition, count, newest in rows}
        for expected in expected_by_scope.values():
            self._judge_workspace_count(expected, *counts.get(expected.partition, (0, -1)))

    def _judge_workspace_count(self, expected: ExpectedWorkspaces, count: int, newest: int) -> None:
        key, seen = (_BALANCE_COUNT, expected.scope), (expected, count)
        found = [event_counts.of_workspaces(expected, count)] if count != expected.workspaces else []
        if not found or newest > expected.version:
            self._missing_workspaces.pop(expected.scope, None)
            self._mark_judged(key, seen, found)
            return
        self._missing_workspaces[expected.scope] = expected
        if self._has_stopped(key, (expected, count, newest)):
            self._found[key] = seen, found

    # What was found.

    def _mark_judged(self, key: _Key, seen: object, found: list[Difference] | None) -> None:
        """Record that `key` is complete and what differs in it. None keeps what was found before."""
        self._incomplete.pop(key, None)
        if found:
            self._found[key] = seen, found
        elif found is not None:
            self._found.pop(key, None)

    def _is_new(self, key: _Key, seen: object) -> bool:
        return key not in self._found or self._found[key][0] != seen

    def _has_stopped(self, key: _Key, state: object) -> bool:
        """Record that `key` is incomplete. Whether its state has not changed for the grace time."""
        now_s = self._clock()
        known, since_s = self._incomplete.get(key, (None, now_s))
        self._incomplete[key] = state, since_s if known == state else now_s
        return now_s - self._incomplete[key][1] >= self._grace_s


def judged_in_time(reconciliation: Reconciliation, grace_s: float, pause: Callable[[float], Any] = time.sleep) -> bool:
    """Look again until nothing is incomplete, for three times `grace_s` at most. Returns whether all is judged.

    Must be called after a look. What keeps changing for all that time stays incomplete.
    """
    every_s = max(grace_s / 10, 0.05)
    for _ in range(int(3 * grace_s / every_s)):
        if not reconciliation.incomplete:
            break
        pause(every_s)
        reconciliation.look_again()
    return not reconciliation.incomplete
