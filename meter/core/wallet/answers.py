"""The answers about the bots of one workspace, and which of them a change of balances may have changed."""

from collections import defaultdict
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple

from meter.core.wallet.answer_reach import NO_LIMIT_MICROS, Reach
from schemas.commands import PlanName
from schemas.entitlements import EntitlementReason
from schemas.notices import BotStatus


class Answer(NamedTuple):
    """The part of an entitlement whose change is a record. `units` is the first number of its step; None: no limit."""

    reason: EntitlementReason
    status: BotStatus
    plan: PlanName
    units: int | None
    attribution: bool


class Unanswered:
    """The changes of a book since its bots were answered last.

    `before`: free and paid credit then, where the book had no `Answers`. `own_micros`: by bot, what was added to its
    designated credit. `bots`: those that are new, or whose plan changed. `is_all`: the same of all bots.
    `terms`: bot, or "" for the workspace, and the time of each plan that was added.
    """

    __slots__ = ("before", "bots", "is_all", "own_micros", "terms")

    def __init__(self) -> None:
        self.before: tuple[int, int] | None = None
        self.own_micros: defaultdict[str, int] = defaultdict(int)
        self.bots: set[str] = set()
        self.is_all = False
        self.terms: list[tuple[str, int]] = []

    def note_balances(self, free_micros: int, paid_micros: int) -> None:
        """Note the balances before a movement of credit. Only the first ones count."""
        if self.before is None:
            self.before = free_micros, paid_micros

    def note_term(self, bot_id: str, from_ms: int) -> None:
        """Note a plan that was added, for one bot, or for the workspace if `bot_id` is ""."""
        self.terms.append((bot_id, from_ms))
        self.note_plan(bot_id)

    def note_plan(self, bot_id: str) -> None:
        """Note that another plan may be in force, for one bot, or for all if `bot_id` is ""."""
        if bot_id:
            self.bots.add(bot_id)
        else:
            self.is_all = True


_STALE: Final = 16


class _Floors:
    """A heap of the lowest balances at which the answers about bots stay the same. `highest` is the highest of them.

    It may hold earlier floors of a bot; `stamps` says which is its present one.
    """

    __slots__ = ("_heap", "_stamps", "highest")

    def __init__(self, stamps: dict[str, int]) -> None:
        self._stamps = stamps
        self._heap: list[tuple[int, int, str]] = []
        self.highest = -NO_LIMIT_MICROS

    def put(self, floor: int, bot_id: str) -> None:
        heappush(self._heap, (-floor, self._stamps[bot_id], bot_id))
        if len(self._heap) > 2 * len(self._stamps) + _STALE:
            self._heap = [each for each in self._heap if self._stamps[each[2]] == each[1]]
            heapify(self._heap)
        self.highest = -self._heap[0][0]

    def remove_above(self, value: int) -> Iterator[str]:
        """Remove the floors above `value`, and yield the bots whose present floor is among them."""
        heap = self._heap
        while heap and -heap[0][0] > value:
            _, stamp, bot_id = heappop(heap)
            if self._stamps[bot_id] == stamp:
                yield bot_id
        self.highest = -heap[0][0] if heap else -NO_LIMIT_MICROS


class Answers:
    """The answers of one workspace's bots as their newest records state them. Derived from the state, never stored.

    `own_micros` is the designated credit by bot. A ceiling is kept as the floor of the negated balance.
    """

    __slots__ = (
        "_ceilings",
        "_floors",
        "_has_free",
        "_known",
        "_own",
        "_own_total",
        "_shared_ceilings",
        "_shared_floors",
        "_stamps",
    )

    def __init__(self, own_micros: dict[str, int], *, has_free: bool) -> None:
        self._own, self._own_total = own_micros, sum(own_micros.values())
        self._has_free = has_free
        self._known: dict[str, Answer] = {}
        self._stamps: dict[str, int] = {}
        self._floors, self._ceilings = _Floors(self._stamps), _Floors(self._stamps)
        self._shared_floors, self._shared_ceilings = _Floors(self._stamps), _Floors(self._stamps)

    def shared_micros(self, paid_micros: int) -> int:
        """The part of a workspace's paid credit that all bots share, less the overdraft."""
        return paid_micros - self._own_total

    def own_micros(self, bot_id: str) -> int:
        """The credit that is designated to a bot."""
        return self._own.get(bot_id, 0)

    def add_own(self, bot_id: str, micros: int) -> None:
        """Add to the credit that is designated to a bot, which must be put again."""
        self._own[bot_id] = self._own.get(bot_id, 0) + micros
        self._own_total += micros

    def may_differ(self, free_micros: int, paid_micros: int) -> bool:
        """Whether the workspace's balances have left the reach of an answer."""
        shared_micros = paid_micros - self._own_total
        total_micros = free_micros + shared_micros
        return (
            total_micros < self._floors.highest
            or -total_micros < self._ceilings.highest
            or shared_micros < self._shared_floors.highest
            or -shared_micros < self._shared_ceilings.highest
            or (free_micros > 0) != self._has_free
        )

    def take_left(self, free_micros: int, paid_micros: int) -> set[str]:
        """The bots whose answer may differ with these balances. Each of them must be put again."""
        if (free_micros > 0) != self._has_free:
            self._has_free = free_micros > 0
            return set(self._known)
        shared_micros = paid_micros - self._own_total
        total_micros = free_micros + shared_micros
        left = set(self._floors.remove_above(total_micros))
        left.update(self._ceilings.remove_above(-total_micros))
        left.update(self._shared_floors.remove_above(shared_micros))
        left.update(self._shared_ceilings.remove_above(-shared_micros))
        return left

    def put(self, bot_id: str, answer: Answer, reach: Reach) -> bool:
        """Keep a bot's answer and its reach. Returns whether it differs from the one before; True if there was none."""
        self._stamps[bot_id] = self._stamps.get(bot_id, 0) + 1
        self._floors.put(reach.total_low, bot_id)
        self._ceilings.put(1 - reach.total_high, bot_id)
        self._shared_floors.put(reach.shared_low, bot_id)
        self._shared_ceilings.put(1 - reach.shared_high, bot_id)
        before, self._known[bot_id] = self._known.get(bot_id), answer
        return before != answer
