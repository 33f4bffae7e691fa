"""The command that creates a workspace, and the initial grant of a workspace."""

from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.core.wallet.book import Book
from meter.core.wallet.charge import withdraw
from meter.core.wallet.commands.credit import add_credit
from meter.core.wallet.commands.moment import Moment
from meter.core.wallet.commands.outcome import Done, Repeated
from meter.core.wallet.commands.plan import price_of, session_micros
from meter.core.wallet.lots import ASSUMED_GRANT, Lot
from meter.core.wallet.plan_terms import BEGINNING_MS, Term
from schemas.commands import WorkspaceCreated
from schemas.money import MOST_MICROS

INITIAL_GRANT = "initial"
"""Lot id of the grant that the command gives that creates the workspace."""


def create_workspace(
    book: Book, command: WorkspaceCreated, at_ms: int, policy: Policy, now: Moment
) -> Done | Repeated | Rejected:
    """Create a workspace with its plan from `at_ms` on and its initial grant.

    Refused as `conflict` if a command created it before, and as `invalid` if it is enterprise without a price. A
    provisioned workspace loses the plan and the grant that were assumed, so that this plan charges what came before
    too, and this grant pays for it. What the assumed grant has paid for conversations that are forgotten cannot be
    charged again: it is a part of this grant that is spent already.
    """
    data, wallet = command.data, book.wallet
    if wallet.status == "created":
        return Rejected("conflict", f"data.workspace_id: {data.workspace_id} was created before")
    price_micros = price_of(data.plan, data.session_price_micros, policy)
    if price_micros is None:
        return Rejected("invalid", "data.session_price_micros: required on the enterprise plan")
    default_micros = policy.free_grant_micros if data.plan == "standard" else 0
    amount_micros = default_micros if data.free_grant_micros is None else data.free_grant_micros
    if amount_micros > MOST_MICROS - wallet.credited_micros:
        return Rejected("amount_too_large", "data.free_grant_micros: the wallet was given more than it can count")
    if wallet.status == "provisioned":
        book.forget_assumed_plan()
        withdraw(book, wallet.lots.by_id[ASSUMED_GRANT])
    cause = command.source, command.id
    book.add_term(Term(at_ms, data.plan, price_micros, cause, session_micros(data)))
    amount_micros -= min(amount_micros, wallet.assumed_spent_micros)
    if amount_micros:
        lot = Lot(INITIAL_GRANT, "free", "", 0, at_ms, at_ms + policy.grant_life_ms)
        add_credit(book, lot, amount_micros, now)
    wallet.status, wallet.owner, wallet.name = "created", data.owner, data.name
    book.changed = True
    return Done(rebill=True)


def provision(book: Book, at_ms: int, policy: Policy, clock_ms: int) -> None:
    """Make an unknown workspace a Standard one, with a plan before all others and a free grant from `at_ms` on."""
    book.wallet.status = "provisioned"
    # The assumed plan must be before the plan of any command.
    book.add_term(Term(BEGINNING_MS, "standard", policy.conversation_micros))
    lot = Lot(ASSUMED_GRANT, "free", "", 0, at_ms, at_ms + policy.grant_life_ms)
    # An event of that time is there, so the grant has begun.
    add_credit(book, lot, policy.free_grant_micros, Moment(max(at_ms, clock_ms), at_ms))


def begin_earlier(book: Book, at_ms: int) -> None:
    """Move the assumed grant's term back to `at_ms`, if that is earlier."""
    lot = book.wallet.lots.by_id[ASSUMED_GRANT]
    if at_ms >= lot.assigned_ms:
        return
    lot.assigned_ms, lot.expires_ms = at_ms, at_ms + lot.expires_ms - lot.assigned_ms
    book.touched.lots.add(lot.lot_id)
    book.reorder_lots()
    book.new_lots.append(lot)  # Its timer is set again.
