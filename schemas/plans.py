"""The catalogue of plans: what is published about each of them (docs/adr/0033).

The catalogue charges nothing. What a unit costs is decided by the policy on Standard and by the contract on Enterprise
(docs/adr/0028); the catalogue says what is offered to a customer who has no price of their own.
"""

from collections.abc import Mapping
from typing import Final, Literal, get_args

import msgspec

from schemas.instants import DAY_MS
from schemas.money import DOLLAR_MICROS, STANDARD_FREE_GRANT_MICROS
from schemas.plan_rows import CUSTOM, MINIMUM_TOP_UP_MICROS, ROWS, UNLIMITED, CatalogueName, Row, RowValue

UnitName = Literal["conversation", "session"]

MAXIMUM_TOP_UP_MICROS: Final = 20_000 * DOLLAR_MICROS
"""The largest purchase in one order, unless a deployment sets another."""

GRANT_LIFE_MS: Final = 90 * DAY_MS
"""The term of the initial grant."""


class RateCard(msgspec.Struct, frozen=True, kw_only=True):
    """The price of each notification, in micro-dollars. At 0 it is counted and not charged."""

    proactive_micros: int = 0
    alert_micros: int = 0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One plan. Money is in micro-dollars.

    `is_offered` says whether a workspace or a bot can have the plan today. The other plans are examples of what the
    catalogue can hold. `values` has the value of each row, by the row's name.
    """

    name: CatalogueName
    title: str
    is_offered: bool
    unit: UnitName
    free_grant_micros: int
    minimum_top_up_micros: int = MINIMUM_TOP_UP_MICROS
    maximum_top_up_micros: int = MAXIMUM_TOP_UP_MICROS
    grant_life_ms: int = GRANT_LIFE_MS
    notifications: RateCard = RateCard()
    values: Mapping[str, RowValue]

    @property
    def unit_title(self) -> str:
        """The name that people read for the units of this plan."""
        return "Billing Conversations" if self.unit == "conversation" else "Billing Sessions"

    @property
    def unit_micros(self) -> int | None:
        """The published price of a unit; None where the contract decides."""
        return self._number("unit_price")

    @property
    def proactive_per_hour(self) -> int | None:
        """Proactive notifications of a workspace in a clock hour before they are over the limit; None: no limit."""
        return self._number("proactive_notifications")

    @property
    def history_months(self) -> int | None:
        """How many months back usage can be viewed; None where the contract decides."""
        return self._number("analytics_history")

    def limits(self, contracted: Mapping[str, int] | None = None) -> dict[str, int | str]:
        """The counts, rates and months of the plan, by row name: a number, or "custom", or "unlimited".

        `contracted` are the numbers of a contract. They replace the plan's "custom", and no number that the plan
        publishes: that one is the same for all its customers.
        """
        given = contracted or {}
        found: dict[str, int | str] = {}
        for row in ROWS:
            if row.kind in ("limit", "rate", "history"):
                value = self.values[row.name]
                found[row.name] = given.get(row.name, CUSTOM) if value == CUSTOM else value
        return found

    def features(self) -> dict[str, bool]:
        """The features that the plan has or lacks, by row name."""
        return {row.name: self.values[row.name] is True for row in ROWS if row.kind == "flag"}

    def _number(self, name: str) -> int | None:
        value = self.values[name]
        return None if isinstance(value, str) else value


def _plan(name: CatalogueName, title: str, unit: UnitName, *, grant_micros: int = 0, days: int = 90) -> Plan:
    return Plan(
        name=name,
        title=title,
        is_offered=name in ("standard", "enterprise"),
        unit=unit,
        free_grant_micros=grant_micros,
        grant_life_ms=days * DAY_MS,
        values={row.name: row.value_in(name) for row in ROWS},
    )


PLANS: Final[Mapping[CatalogueName, Plan]] = {
    plan.name: plan
    for plan in (
        _plan("standard", "Standard", "conversation", grant_micros=STANDARD_FREE_GRANT_MICROS),
        _plan("enterprise", "Enterprise", "session"),
        _plan("trial", "Trial", "conversation", grant_micros=25 * DOLLAR_MICROS, days=14),
        _plan("essential", "Essential", "conversation"),
        _plan("advanced", "Advanced", "conversation"),
    )
}
"""The catalogue, by name. The figures of trial, essential and advanced are invented, as examples."""

DEFAULT_PLAN: Final[CatalogueName] = "standard"
"""The plan of a workspace that chose none."""

assert tuple(PLANS) == get_args(CatalogueName), "a plan is missing in the catalogue"

__all__ = ["CUSTOM", "DEFAULT_PLAN", "PLANS", "ROWS", "UNLIMITED", "CatalogueName", "Plan", "RateCard", "Row"]
