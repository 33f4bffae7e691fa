"""Asking ClickHouse whether everything adds up, while rows are on their way (docs/adr/0009).

Nothing is judged that is still being written. Rows of a workspace are there in whole once its balance is, which comes
last; until then, and while dead letters lag behind, one looks again. What stays unfinished without moving is a
difference: nobody is writing it any more.
"""

import time
from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from aggregator.core.reconciliation import differences, event_counts
from aggregator.core.reconciliation import sums as reconcile
from aggregator.core.reconciliation.differences import Difference
from aggregator.core.reconciliation.sums import PAIRS, Row, Sums

Ask = Callable[[str], list[Row]]
"""A SELECT -> its rows."""

CHUNK_WORKSPACES: Final = 200
"""Workspaces that are asked about at once: it bounds the answers, and how long an insert waits behind a query."""

NAMED_SCOPES: Final = 20
"""Places whose rows are named in one look; of more, it is only told that they differ."""

_WORKSPACE: Final = "workspace"
_OFFSET: Final = "offset"
_LETTERS: Final = "letters"
_STARTED: Final = "begun"

_Key = tuple[str, str]
"""What kind of scope, and its name."""


class Reconciliation:
    """Goes round all workspaces, as far in one look as time allows, and remembers what it found where."""

    def __init__(self, ask: Ask, grace_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._grace_s = grace_s
        self._clock = clock
        self._after = ""
        self._moved: dict[_Key, tuple[object, float]] = {}
        """Of what is incomplete: how it stood, and since when it has stood so."""
        self._found: dict[_Key, tuple[object, list[Difference]]] = {}
        """Of what differs: what was seen, and what that means."""
        self._pinned: dict[str, event_counts.ExpectedDeadLetters] = {}
        """Dead letters that were not there yet: looked for until they are."""
        self._awaited: dict[str, event_counts.ExpectedWorkspaces] = {}
        """Workspaces that were not there yet, likewise."""
        self._named = 0
        self.partitions = 0
        """Partitions of chat-events that could be compared in the last look."""
        self.workspaces = 0
        """Workspaces with a balance, as far as this round has come."""

    @property
    def differences(self) -> list[Difference]:
        """All that is known to differ, the scopes in order."""
        return [each for _, (_, found) in sorted(self._found.items(), key=lambda item: item[0]) for each in found]

    @property
    def incomplete(self) -> int:
        """Places that are being written, and not judged for that."""
        return sum(key not in self._found for key in self._moved)

    def scopes_by_pair(self) -> dict[str, int]:
        """Of each pair, how many scopes differ."""
        counted = Counter(pair for pair, _ in {(each.pair, each.scope) for each in self.differences})
        return {pair: counted[pair] for pair in PAIRS}

    def look(self, budget_s: float = float("inf"), on_chunk: Callable[[int], None] = lambda _: None) -> bool:
        """Look at the events, and at further workspaces until the time is up; whether that ended a round of all."""
        until = self._clock() + budget_s
        self._named = 0
        self._look_at_events()
        while True:
            self._look_at_next_chunk(on_chunk)
            if not self._after:
                return True
            if self._clock() >= until:
                return False

    def look_again(self) -> None:
        """Look at the events, and at those workspaces that were being written."""
        self._look_at_events()
        waiting = iter([name for kind, name in self._moved if kind == _WORKSPACE])
        while names := list(islice(waiting, CHUNK_WORKSPACES)):
            where = reconcile.among(names)
            self._judge(where, self._ask(reconcile.balances(where, len(names))))

    def _look_at_next_chunk(self, on_chunk: Callable[[int], None]) -> None:
        after = self._after
        self.workspaces *= bool(after)
        rows = self._ask(reconcile.balances(reconcile.between(after, None), CHUNK_WORKSPACES))
        last = rows[-1][0] if len(rows) == CHUNK_WORKSPACES else None
        there = self._judge(reconcile.between(after, last), rows)
        for name in [name for kind, name in self._found.keys() | self._moved.keys() if kind == _WORKSPACE]:
            if after < name and (last is None or name <= last) and name not in there:
                self._mark_judged((_WORKSPACE, name), None, [])
        self._after = last or ""
        self.workspaces += len(rows)
        on_chunk(len(rows))

    def _judge(self, where: str, balances: list[Row]) -> set[str]:
        """Judge the workspaces of `where`, their balances asked already; returns their names."""
        found = reconcile.folded(
            balances,
            self._ask(reconcile.ledgers(where)),
            self._ask(reconcile.units(where)),
            self._ask(reconcile.rollups(where)),
        )
        for name, sums in found.items():
            key = _WORKSPACE, name
            if sums.is_complete:
                self._mark_judged(key, sums, self._name(sums) if self._is_news(key, sums) else None)
            elif self._has_stopped(key, (sums.balance.version, sums.newest)):
                self._found[key] = sums, [differences.of_incomplete(sums)]
        return set(found)

    def _name(self, sums: Sums) -> list[Difference]:
        pairs = reconcile.differing(sums)
        self._named += bool(pairs)
        return [each for pair in pairs for each in self._name_pair(pair, sums)]

    def _name_pair(self, pair: str, sums: Sums) -> list[Difference]:
        workspace_id = sums.balance.workspace_id
        if self._named > NAMED_SCOPES:
            return [differences.unnamed(pair, workspace_id)]
        named = list(differences.of_workspace(pair, sums))
        by_row = differences.BY_ROW.get(pair)
        if by_row is not None:
            named += by_row.differences(workspace_id, self._ask(by_row.sql(workspace_id)))
        if pair == reconcile.LEDGER_BALANCES and sums.ledger.entries < sums.balance.entries:
            missing = self._ask(differences.missing_entries(workspace_id, sums.balance.entries))
            named += differences.of_missing_entries(workspace_id, missing)
        return named or [differences.unnamed(pair, workspace_id)]

    def _look_at_events(self) -> None:
        compared_offsets = event_counts.read_compared_offsets(self._ask(event_counts.compared_offsets()))
        self.partitions = len(compared_offsets)
        for compared in compared_offsets:
            name = compared.scope
            self._mark_judged((_OFFSET, name), compared, list(event_counts.of_offset(compared)))
        told = self._ask(event_counts.inputs())
        self._look_for_letters(
            {each.scope: each for each in event_counts.expected_dead_letters(compared_offsets, told)} | self._pinned
        )
        self._look_for_workspaces({each.scope: each for each in event_counts.expected_workspaces(told)} | self._awaited)

    def _look_for_workspaces(self, expected_by_name: dict[str, event_counts.ExpectedWorkspaces]) -> None:
        there = (
            {row[0]: row[1:] for row in self._ask(event_counts.balances(expected_by_name.values()))}
            if expected_by_name
            else {}
        )
        for name, expected in expected_by_name.items():
            key = _STARTED, name
            count, newest = there.get(expected.partition, (0, -1))
            found = [event_counts.of_workspaces(expected, count)] if count != expected.workspaces else []
            if not found or newest > expected.version:
                self._awaited.pop(name, None)
                self._mark_judged(key, (expected, count), found)
                continue
            self._awaited[name] = expected
            if self._has_stopped(key, (expected, count, newest)):
                self._found[key] = (expected, count), found

    def _look_for_letters(self, expected_by_name: dict[str, event_counts.ExpectedDeadLetters]) -> None:
        if not expected_by_name:
            return
        there = {
            event_counts.partition_name(topic, partition): count
            for topic, partition, count in self._ask(event_counts.letters(expected_by_name.values()))
        }
        for name, expected in expected_by_name.items():
            self._judge_letters((_LETTERS, name), expected, there.get(name, 0))

    def _judge_letters(self, key: _Key, expected: event_counts.ExpectedDeadLetters, count: int) -> None:
        if count < expected.refused:
            self._pinned[expected.scope] = expected
            if self._has_stopped(key, (expected, count)):
                self._found[key] = (expected, count), [event_counts.of_dead_letters(expected, count)]
            return
        self._pinned.pop(expected.scope, None)
        self._mark_judged(
            key, (expected, count), [event_counts.of_dead_letters(expected, count)] if count > expected.refused else []
        )

    def _mark_judged(self, key: _Key, seen: object, found: list[Difference] | None) -> None:
        """A scope is judged; None if that has not changed."""
        self._moved.pop(key, None)
        if found:
            self._found[key] = seen, found
        elif found is not None:
            self._found.pop(key, None)

    def _is_news(self, key: _Key, seen: object) -> bool:
        return key not in self._found or self._found[key][0] != seen

    def _has_stopped(self, key: _Key, state: object) -> bool:
        """Whether what is incomplete has stood as it stands for so long that nobody can be writing it."""
        now_s = self._clock()
        known, since_s = self._moved.get(key, (None, now_s))
        self._moved[key] = state, since_s if known == state else now_s
        return now_s - self._moved[key][1] >= self._grace_s


def judged_in_time(reconciliation: Reconciliation, grace_s: float, pause: Callable[[float], Any] = time.sleep) -> bool:
    """Look again until everything is judged; whether it is. What goes on being written is waited for thrice as long."""
    every_s = max(grace_s / 10, 0.05)
    for _ in range(int(3 * grace_s / every_s)):
        if not reconciliation.incomplete:
            break
        pause(every_s)
        reconciliation.look_again()
    return not reconciliation.incomplete
