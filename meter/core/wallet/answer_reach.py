"""The balances between which the answer about a bot stays the same (docs/adr/0035).

A debit costs a comparison with them, and not an answer for each bot of the workspace.
"""

from typing import Final, NamedTuple

from meter.core.wallet.entitlements import BotCredit
from schemas.commands import PlanName
from schemas.entitlements import EXACT_UNITS

NO_LIMIT_MICROS: Final = 2**62
"""Beyond any balance, whose sums stay below `schemas.money.MOST_MICROS`."""

_STEPS_BITS: Final = (EXACT_UNITS // 2).bit_length() - 1
"""Four steps a doubling: of a number of units its highest bit and this many more are kept."""


class Reach(NamedTuple):
    """Half-open ranges in micro-dollars: each low end belongs to it, each high end does not.

    `total` is about the free and the shared credit together, `shared` about the shared credit alone. The answer about a
    bot stays the same while both are in reach, its own credit and plan stay, and no free credit comes or ends.
    """

    total_low: int
    total_high: int
    shared_low: int
    shared_high: int

    def includes(self, total_micros: int, shared_micros: int) -> bool:
        """Whether both are in reach."""
        return self.total_low <= total_micros < self.total_high and self.shared_low <= shared_micros < self.shared_high


def step_of(units: int) -> tuple[int, int]:
    """Return the step in which a number of allowed units lies: its first number, and the first one of the next step.

    Numbers below EXACT_UNITS are steps of their own. Above there are four steps a doubling, so that a bot causes at
    most four records while its credit halves.
    """
    dropped = max(0, units.bit_length() - 1 - _STEPS_BITS)
    first = units >> dropped << dropped
    return first, first + (1 << dropped)


def reach(credit: BotCredit, plan: PlanName, unit_micros: int, low_micros: int, bridged_micros: int) -> Reach:
    """Return the balances between which the answer about a bot stays as it is with `credit`.

    `bridged_micros` is how far below 0 a reload that is in flight lets it go.
    """
    available_micros = credit.available_micros(plan)
    own_micros = available_micros - credit.free_micros - credit.shared_micros
    if available_micros <= -bridged_micros:
        low, high = -NO_LIMIT_MICROS, 1 - bridged_micros
    elif available_micros <= 0:
        low, high = 1 - bridged_micros, 1
    elif unit_micros > 0:
        first, following = step_of(available_micros // unit_micros)
        low, high = max(1, first * unit_micros), following * unit_micros
    else:
        low, high = 1, NO_LIMIT_MICROS
    shared_low, shared_high = _around(credit.shared_micros, 1, low_micros - credit.designated_micros + 1)
    return Reach(low - own_micros, high - own_micros, shared_low, shared_high)


def _around(value: int, *edges: int) -> tuple[int, int]:
    """The highest edge at or below a value, and the lowest one above it."""
    low = max((each for each in edges if each <= value), default=-NO_LIMIT_MICROS)
    return low, min((each for each in edges if each > value), default=NO_LIMIT_MICROS)
