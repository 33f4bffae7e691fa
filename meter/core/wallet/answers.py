"""The answers about the bots of one workspace, and which of them a change of balances may have changed."""

from collections import defaultdict
from typing import Final, NamedTuple

from meter.core.wallet.answer_reach import NO_LIMIT_MICROS, Reach
from meter.core.wallet.lots import Lot
from meter.core.wallet.wallet import Wallet
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


class Bounds:
    """Half-open ranges of a workspace's free credit, of its paid credit, and of both together, in micro-dollars.

    Looked at in each movement of credit, so they are attributes and not pairs.
    """

    __slots__ = ("free_high", "free_low", "paid_high", "paid_low", "total_high", "total_low")

    def __init__(self, free: tuple[int, int], paid: tuple[int, int], total: tuple[int, int]) -> None:
        self.free_low, self.free_high = free
        self.paid_low, self.paid_high = paid
        self.total_low, self.total_high = total

    def include(self, free_micros: int, paid_micros: int) -> bool:
        """Whether the balances are within them."""
        return (
            self.free_low <= free_micros < self.free_high
            and self.paid_low <= paid_micros < self.paid_high
            and self.total_low <= free_micros + paid_micros < self.total_high
        )

    def shift(self, own_micros: int) -> None:
        """Move with credit that is designated to a bot: it is in the balances, and in no reach."""
        self.paid_low, self.paid_high = self.paid_low + own_micros, self.paid_high + own_micros
        self.total_low, self.total_high = self.total_low + own_micros, self.total_high + own_micros

    def narrow(self, reach: Reach, own_micros: int) -> None:
        """Stay within the reach of one more answer. `own_micros` is what is designated to all bots."""
        self.paid_low = max(self.paid_low, reach.shared_low + own_micros)
        self.paid_high = min(self.paid_high, reach.shared_high + own_micros)
        self.total_low = max(self.total_low, reach.total_low + own_micros)
        self.total_high = min(self.total_high, reach.total_high + own_micros)


NOWHERE: Final = Bounds((0, 0), (0, 0), (0, 0))
"""The bounds where no answer is known: every balance is outside."""


class Unanswered:
    """The changes of a book since its bots were answered last.

    `before`: free and paid credit then, where the book has no `Answers`. `own_micros`: by bot, what was added to its
    designated credit. `bots`: those that are new, or whose plan or auto-reload changed. `is_all`: of all bots.
    `terms`: bot, or "" for the workspace, and the time of each plan that was added.
    """

    __slots__ = ("before", "bots", "is_all", "own_micros", "terms")

    def __init__(self) -> None:
        self.before: tuple[int, int] | None = None
        self.own_micros: defaultdict[str, int] = defaultdict(int)
        self.bots: set[str] = set()
        self.is_all = False
        self.terms: list[tuple[str, int]] = []

    def note_movement(self, wallet: Wallet, lot: Lot, amount_micros: int) -> None:
        """Note a movement of `amount_micros` on a lot, which is in the balances already."""
        if self.before is None:
            is_free = lot.kind == "free"
            free_micros, paid_micros = (amount_micros, 0) if is_free else (0, amount_micros)
            self.before = wallet.free_micros - free_micros, wallet.paid_micros - paid_micros
        if lot.kind == "designated":
            self.own_micros[lot.bot_id] += amount_micros

    def note_term(self, bot_id: str, from_ms: int) -> None:
        """Note a plan that was added, for one bot, or for the workspace if `bot_id` is ""."""
        self.terms.append((bot_id, from_ms))
        self.answer_again(bot_id)

    def answer_again(self, bot_id: str) -> None:
        """Note that something else than credit may change an answer: of one bot, or of all if `bot_id` is ""."""
        if bot_id:
            self.bots.add(bot_id)
        else:
            self.is_all = True


class Answers:
    """The answers of one workspace's bots as their newest records state them. Derived from the state, never stored.

    `own_micros` is the designated credit by bot.
    """

    __slots__ = ("_has_free", "_known", "_own", "_own_total", "bounds")

    def __init__(self, own_micros: dict[str, int], *, has_free: bool) -> None:
        self._own, self._own_total = own_micros, sum(own_micros.values())
        self._has_free = has_free
        self._known: dict[str, tuple[Answer, Reach]] = {}
        self.bounds = self._widest()
        """Balances within them are within the reach of each answer. They may be narrower than they had to be."""

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
        self.bounds.shift(micros)

    def left(self, free_micros: int, paid_micros: int) -> set[str]:
        """The bots whose answer may differ with these balances. Each of them must be put again.

        Nearly always the balances are within bounds, and no bot is looked at. Outside of them each bot is.
        """
        if self.bounds.include(free_micros, paid_micros):
            return set()
        had_free, self._has_free = self._has_free, free_micros > 0
        shared_micros = self.shared_micros(paid_micros)
        total_micros = free_micros + shared_micros
        self.bounds, left = self._widest(), set()
        for bot_id, (_, reach) in self._known.items():
            if had_free == self._has_free and reach.includes(total_micros, shared_micros):
                self.bounds.narrow(reach, self._own_total)
            else:
                left.add(bot_id)
        return left

    def put(self, bot_id: str, answer: Answer, reach: Reach) -> bool:
        """Keep a bot's answer and its reach. Returns whether it differs from the one before; True if there was none."""
        before = self._known.get(bot_id)
        self._known[bot_id] = answer, reach
        self.bounds.narrow(reach, self._own_total)
        return before is None or before[0] != answer

    def _widest(self) -> Bounds:
        """The bounds without any bot."""
        everywhere = -NO_LIMIT_MICROS, NO_LIMIT_MICROS
        return Bounds((1, NO_LIMIT_MICROS) if self._has_free else (-NO_LIMIT_MICROS, 1), everywhere, everywhere)
