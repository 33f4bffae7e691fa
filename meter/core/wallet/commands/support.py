"""Support plans: who may buy which, when one renews, and when it ends (docs/adr/0033).

Periods are calendar months and years in UTC, counted from the instant of the purchase. A day that a month lacks is that
month's last day, and the next month has the day again: 31 January, 28 February, 31 March.
"""

from calendar import monthrange
from collections.abc import Iterator
from datetime import datetime
from typing import Final, Literal

import msgspec

from schemas.commands import PlanName
from schemas.instants import DAY_MS, from_ms, to_ms
from schemas.money import dollars
from schemas.refusals import Refused
from schemas.support_plans import MONTHS, SUPPORT_PLANS, SupportPeriod, SupportTier

NOTICE_MS: Final = 5 * DAY_MS
"""How long before a renewal its notice is due."""


def purchase_refusal(tier: SupportTier, plan: PlanName, price_micros: int, period: SupportPeriod) -> Refused | None:
    """Return why a bot on `plan` may not have `tier` for `price_micros` a period; None if it may.

    Codes: `plan_not_allowed`, `amount_below_minimum`.
    """
    support = SUPPORT_PLANS[tier]
    if tier == "basic":
        return Refused(
            "plan_not_allowed", "plan: every published bot has basic support, which is not sold; buy another"
        )
    if support.needs_enterprise and plan != "enterprise":
        return Refused("plan_not_allowed", f"plan: {tier} support needs the Enterprise plan; request the upgrade first")
    least_micros = support.minimum_micros(period)
    if price_micros < least_micros:
        price = f"{dollars(price_micros)} a {period}"
        return Refused(
            "amount_below_minimum", f"price_micros: {price} is less than {dollars(least_micros)}; offer more"
        )
    return None


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """A support plan that was bought. Money is in micro-dollars, times are event times in milliseconds.

    `paid_periods` counts the periods whose payment has completed, the first included.
    """

    tier: SupportTier
    period: SupportPeriod
    price_micros: int
    activated_ms: int
    paid_periods: int = 1
    cancelled_ms: int | None = None

    @property
    def paid_until_ms(self) -> int:
        """The end of what is paid, which is the next renewal unless the subscription was cancelled."""
        return renewal_ms(self.activated_ms, self.period, self.paid_periods)

    @property
    def next_renewal_ms(self) -> int | None:
        """When the next period is charged; None after a cancellation."""
        return None if self.cancelled_ms is not None else self.paid_until_ms

    @property
    def notice_ms(self) -> int | None:
        """When the owner is told about the renewal; None after a cancellation."""
        return None if self.next_renewal_ms is None else self.next_renewal_ms - NOTICE_MS

    def tier_at(self, at_ms: int) -> SupportTier:
        """The tier at `at_ms`. Before the purchase, and when what is paid has ended, it is `basic`.

        A cancellation takes effect at the end of what is paid. A renewal whose payment fails adds no period, so the
        subscription ends at the same moment, until a later payment adds the period.
        """
        return self.tier if self.activated_ms <= at_ms < self.paid_until_ms else "basic"

    def renewed(self) -> "Subscription":
        """The subscription after the payment of one more period. It must not be cancelled."""
        assert self.cancelled_ms is None, "a cancelled subscription does not renew"
        return msgspec.structs.replace(self, paid_periods=self.paid_periods + 1)

    def cancelled(self, at_ms: int) -> "Subscription":
        """The subscription after a cancellation at `at_ms`. Of several the first one counts."""
        return self if self.cancelled_ms is not None else msgspec.structs.replace(self, cancelled_ms=at_ms)


def renewal_ms(activated_ms: int, period: SupportPeriod, number: int) -> int:
    """The instant of renewal `number`, which ends `number` periods; 0 is the purchase.

    Raises OverflowError for a renewal after the year 9999.
    """
    begun = from_ms(activated_ms)
    months = begun.month - 1 + MONTHS[period] * number
    year, month = begun.year + months // 12, months % 12 + 1
    if year > datetime.max.year:
        raise OverflowError(f"renewal {number} would be in the year {year}")
    return to_ms(begun.replace(year=year, month=month, day=min(begun.day, monthrange(year, month)[1])))


DueKind = Literal["notice", "renewal"]


class Due(msgspec.Struct, frozen=True, order=True):
    """An act that a subscription has due at `at_ms`: the notice of a renewal, or the renewal itself."""

    at_ms: int
    kind: DueKind


def due(subscription: Subscription, after_ms: int, until_ms: int) -> Iterator[Due]:
    """Yield the acts that fall due in (`after_ms`, `until_ms`], the earliest first.

    There are at most two, a notice and its renewal. Later ones are known once that renewal is paid.
    """
    renewal, notice = subscription.next_renewal_ms, subscription.notice_ms
    if renewal is None or notice is None:
        return
    if after_ms < notice <= until_ms:
        yield Due(notice, "notice")
    if after_ms < renewal <= until_ms:
        yield Due(renewal, "renewal")
