"""The command that creates a workspace, and the initial grant of a workspace."""

from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.core.wallet.book import Book
from meter.core.wallet.commands.credit import add_credit
from meter.core.wallet.commands.outcome import Done, Repeated
from meter.core.wallet.commands.plan import price_of
from meter.core.wallet.lots import Lot
from meter.core.wallet.plan_terms import Term
from schemas.commands import (
    PlanName,
    WorkspaceCreated,
)

INITIAL_GRANT = "initial"
"""Lot id of the initial grant. A workspace has at most one, whether a command or an event created it."""


def create_workspace(
    book: Book, command: WorkspaceCreated, at_ms: int, policy: Policy, clock_ms: int
) -> Done | Repeated | Rejected:
    """Create a workspace with its plan from `at_ms` on and its initial grant.

    Refused as `conflict` if a command created it before, and as `invalid` if it is enterprise without a price. A
    provisioned workspace loses the plan that was assumed, so that this plan charges what came before too; it keeps the
    grant that it was given.
    """
    data, wallet = command.data, book.wallet
    if wallet.status == "created":
        return Rejected("conflict", f"data.workspace_id: {data.workspace_id} was created before")
    price_micros = price_of(data.plan, data.session_price_micros, policy)
    if price_micros is None:
        return Rejected("invalid", "data.session_price_micros: required on the enterprise plan")
    if wallet.status == "provisioned":
        wallet.plan.forget_assumed()
    wallet.plan.add(Term(at_ms, data.plan, price_micros))
    open_wallet(book, data.plan, data.free_grant_micros, at_ms, policy, clock_ms)
    wallet.status, wallet.owner, wallet.name = "created", data.owner, data.name
    return Done(rebill=True)


def open_wallet(
    book: Book, plan: PlanName, free_grant_micros: int | None, at_ms: int, policy: Policy, clock_ms: int
) -> None:
    """Add the initial grant, with a term that begins at `at_ms`, unless the workspace has one. Refuses nothing.

    `free_grant_micros` None means the default: the policy's on Standard, else 0. An amount of 0 adds no lot.
    """
    default_micros = policy.free_grant_micros if plan == "standard" else 0
    amount_micros = default_micros if free_grant_micros is None else free_grant_micros
    if amount_micros and INITIAL_GRANT not in book.wallet.lots.by_id:
        expires_ms = at_ms + policy.grant_life_ms
        add_credit(book, Lot(INITIAL_GRANT, "free", "", 0, at_ms, expires_ms), amount_micros, clock_ms)
    book.changed = True
