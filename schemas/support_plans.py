"""Support plans: tiers, what they include, and what they cost at least (docs/adr/0033)."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from schemas.money import DOLLAR_MICROS

SupportTier = Literal["basic", "standard", "enterprise"]

SupportPeriod = Literal["month", "year"]
"""How often a support plan is charged. Calendar months and years, in UTC."""

MONTHS: Final[Mapping[SupportPeriod, int]] = {"month": 1, "year": 12}
"""The number of calendar months in a period."""


class SupportPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One tier. `display_name` is what mails and invoices call it. `minimum_month_micros` is in micro-dollars.

    `needs_enterprise` says whether only bots on the Enterprise plan may have it.
    """

    tier: SupportTier
    display_name: str
    service: str
    minimum_month_micros: int
    needs_enterprise: bool = False

    def minimum_micros(self, period: SupportPeriod) -> int:
        """The least that one period costs, in micro-dollars. A year costs twelve months."""
        return self.minimum_month_micros * MONTHS[period]


BASIC_SUPPORT: Final = SupportPlan(
    tier="basic",
    display_name="Basic Support",
    service="community, academy, documentation",
    minimum_month_micros=0,
)
STANDARD_SUPPORT: Final = SupportPlan(
    tier="standard",
    display_name="Enhanced Support",
    service="e-mail on weekdays 8-17, first answer within 24 h",
    minimum_month_micros=1_000 * DOLLAR_MICROS,
)
ENTERPRISE_SUPPORT: Final = SupportPlan(
    tier="enterprise",
    display_name="Enterprise Support",
    service="guided success programme, 24x7 by e-mail, phone and video",
    minimum_month_micros=0,
    needs_enterprise=True,
)

SUPPORT_PLANS: Final[Mapping[SupportTier, SupportPlan]] = {
    plan.tier: plan for plan in (BASIC_SUPPORT, STANDARD_SUPPORT, ENTERPRISE_SUPPORT)
}
"""All tiers. Every published bot has `basic`, without a purchase. The price of `enterprise` is agreed on."""
