"""Entitlement of a bot by the credit that it can spend: active or not, its status, its units (docs/adr/0033).

Pure functions of balances and plan. They read no state and change none.
"""

from collections.abc import Mapping
from functools import cache
from typing import Final

import msgspec

from schemas.commands import PlanName
from schemas.entitlements import EntitlementReason
from schemas.money import DOLLAR_MICROS
from schemas.notices import BotStatus
from schemas.plans import PLANS
from schemas.policy import DebitOrder

LOW_BALANCE_MICROS: Final = 50 * DOLLAR_MICROS
"""The balance at or below which it is low, where no threshold of an auto-reload was ever set."""


class BotCredit(msgspec.Struct, frozen=True, kw_only=True):
    """The credit that one bot can spend now, in micro-dollars.

    `free_micros` is free credit within its term, at least 0; `own_free_micros` is the part of it that only this bot may
    spend. `shared_micros` is what all bots share, less what the workspace has overdrawn: it may be below 0.
    `overdraft_micros` is how far below 0 the contract lets the workspace go. It counts on Enterprise only.
    """

    free_micros: int = 0
    own_free_micros: int = 0
    designated_micros: int = 0
    shared_micros: int = 0
    overdraft_micros: int = 0

    @property
    def paid_micros(self) -> int:
        """The paid balance of the bot: its own and the shared credit."""
        return self.designated_micros + self.shared_micros

    @property
    def has_paid(self) -> bool:
        """Whether there is paid credit that the bot could spend: its own also while the shared credit is overdrawn."""
        return self.designated_micros > 0 or self.shared_micros > 0

    def available_micros(self, plan: PlanName) -> int:
        """All that the bot can spend."""
        contract_micros = self.overdraft_micros if plan == "enterprise" else 0
        return self.free_micros + self.paid_micros + contract_micros


class Reload(msgspec.Struct, frozen=True, kw_only=True):
    """The auto-reload of the bot's scope: the micro-dollars of one reload, and how its attempts stand."""

    reload_micros: int = 0
    in_flight: bool = False
    last_failed: bool = False

    @property
    def bridged_micros(self) -> int:
        """How far below 0 the bot stays active: one reload while it is in flight and the last one did not fail."""
        return self.reload_micros if self.in_flight and not self.last_failed else 0


class Entitlement(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to what a bot may do. Money is in micro-dollars.

    `allowed_units` is how many more units the available credit covers; None where a unit costs nothing. `limits` and
    `features` are those of the plan, for the runtime.
    """

    active: bool
    status: BotStatus
    reason: EntitlementReason
    available_micros: int
    allowed_units: int | None
    attribution: bool
    limits: Mapping[str, int | str]
    features: Mapping[str, bool]


def low_limit_micros(own_threshold_micros: int | None, shared_threshold_micros: int | None) -> int:
    """The balance at or below which a bot's balance is low.

    It is the threshold of the bot's own auto-reload, else of the shared credit's, else $50. None means that none was
    ever set; 0 is a threshold.
    """
    if own_threshold_micros is not None:
        return own_threshold_micros
    return LOW_BALANCE_MICROS if shared_threshold_micros is None else shared_threshold_micros


def entitlement(
    credit: BotCredit,
    plan: PlanName,
    unit_micros: int,
    *,
    debit_order: DebitOrder = "free_first",
    low_micros: int = LOW_BALANCE_MICROS,
    reload: Reload | None = None,
    contracted: Mapping[str, int] | None = None,
) -> Entitlement:
    """Return what a bot on `plan`, whose unit costs `unit_micros`, may do with `credit`.

    `low_micros` comes from `low_limit_micros`. `contracted` are limits of a contract, by the name of their row.
    """
    available_micros = credit.available_micros(plan)
    reason = _reason(credit, plan, debit_order, reload or Reload())
    return Entitlement(
        active=reason != "no_credit",
        status=_status(reason, credit.paid_micros, low_micros),
        reason=reason,
        available_micros=available_micros,
        allowed_units=allowed_units(available_micros, unit_micros),
        attribution=shows_attribution(credit, plan),
        limits=PLANS[plan].limits(contracted) if contracted else _limits(plan),
        features=_features(plan),
    )


def allowed_units(available_micros: int, unit_micros: int) -> int | None:
    """How many whole units of `unit_micros` the credit covers; None if a unit costs nothing."""
    return max(0, available_micros) // unit_micros if unit_micros > 0 else None


def shows_attribution(credit: BotCredit, plan: PlanName) -> bool:
    """Whether the bot's web channel must name the vendor: on Standard, without paid credit that the bot could spend."""
    return plan == "standard" and not credit.has_paid


def is_over_proactive_limit(plan: PlanName, delivered: int, contracted_per_hour: int | None = None) -> bool:
    """Whether `delivered` proactive notifications of a workspace in one clock hour are more than the plan's number.

    Where the plan leaves the number to the contract, it is `contracted_per_hour`; None is no limit.
    """
    published_per_hour = PLANS[plan].proactive_per_hour
    limit_per_hour = contracted_per_hour if published_per_hour is None else published_per_hour
    return limit_per_hour is not None and delivered > limit_per_hour


def _reason(credit: BotCredit, plan: PlanName, debit_order: DebitOrder, reload: Reload) -> EntitlementReason:
    available_micros = credit.available_micros(plan)
    if available_micros <= 0:
        return "reload_in_flight" if available_micros + reload.bridged_micros > 0 else "no_credit"
    if credit.free_micros > 0 and (debit_order == "free_first" or not credit.has_paid):
        return "free_credit"
    return "paid_credit" if credit.has_paid else "contract"


def _status(reason: EntitlementReason, paid_micros: int, low_micros: int) -> BotStatus:
    if reason == "no_credit":
        return "Inactive"
    if reason == "free_credit":
        return "Using Free Credits"
    return "Low Balance" if paid_micros <= low_micros else "Sufficient funds"


@cache
def _limits(plan: PlanName) -> Mapping[str, int | str]:
    return PLANS[plan].limits()


@cache
def _features(plan: PlanName) -> Mapping[str, bool]:
    return PLANS[plan].features()
