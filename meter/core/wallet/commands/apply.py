"""Applying an account command to a wallet, once (DOMAIN, Metering 7, Prices and Debit order)."""

import msgspec

from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.core.wallet.book import Book
from meter.core.wallet.commands.credit import add_credit
from meter.core.wallet.commands.moment import Moment
from meter.core.wallet.commands.orders import accept_order, cancel_order, refund_order
from meter.core.wallet.commands.outcome import Done, Repeated
from meter.core.wallet.commands.payments import fail_order, require_action, settle_order
from meter.core.wallet.commands.plan import change_plan, name_bot
from meter.core.wallet.commands.reloads import remove_method, save_method, set_auto_reload
from meter.core.wallet.commands.workspace import create_workspace
from meter.core.wallet.lots import Lot
from schemas.commands import (
    AnyCommand,
    BotCreated,
    CreditsPurchased,
    GrantAssigned,
    GrantData,
    PlanChanged,
    WorkspaceCreated,
)
from schemas.ids import digest, event_key
from schemas.instants import rfc3339, to_ms
from schemas.ledger import LotKind
from schemas.payment_commands import (
    AnyPaymentCommand,
    AutoReloadSet,
    MethodRemoved,
    MethodSaved,
    OrderCancelled,
    OrderPlaced,
    OrderRefunded,
    PaymentActionRequired,
    PaymentFailed,
    PaymentSettled,
)


def apply_command(book: Book, command: AnyCommand, policy: Policy, now: Moment) -> Done | Repeated | Rejected:
    """Apply one command to its workspace's book.

    A command is identified by (source, id) for ever. The same content under it is a repeat and changes nothing. It is
    refused if it has other content (`conflict`), if its time is before 1970 (`too_old`), if it is about money and its
    time is more than 5 minutes after its arrival (`future`), or if the function for the command refuses it. A refused
    command changes nothing in the wallet and leaves its id free.

    After `Done` with `rebill` the caller must charge the remembered conversations again.
    """
    key = event_key(command.data.workspace_id, command.source, command.id).hex()
    content = _content(command)
    known = book.wallet.commands.get(key)
    if known is not None:
        return Repeated() if known == content else Rejected("conflict", f"id: {command.id} was another command before")
    at_ms = to_ms(command.time)
    refused = _untimely(command, at_ms, now.arrived_ms, policy)
    outcome = refused or _apply(book, command, at_ms, policy, now)
    if not isinstance(outcome, Rejected):
        book.wallet.commands[key] = content
        book.touched.commands.add(key)
    return outcome


def _content(command: AnyCommand) -> str:
    """A digest of a command's type, times and data. Times count as instants, in any time zone."""
    instants, data = [to_ms(command.time)], command.data
    if isinstance(data, GrantData) and data.expires_at is not None:
        instants.append(to_ms(data.expires_at))
        data = msgspec.structs.replace(data, expires_at=None)
    return digest(type(command).__name__, str(instants), msgspec.json.encode(data).decode()).hex()


def _untimely(command: AnyCommand, at_ms: int, arrived_ms: int, policy: Policy) -> Rejected | None:
    if at_ms < 0:
        return Rejected("too_old", "time: is before 1970 and cannot take effect")
    if isinstance(command, CreditsPurchased | AnyPaymentCommand) and at_ms > arrived_ms + policy.future_ms:
        ahead_s = (at_ms - arrived_ms) / 1000
        return Rejected("future", f"time: {rfc3339(at_ms)} is {ahead_s:.3f} s ahead of its arrival")
    return None


def _apply(book: Book, command: AnyCommand, at_ms: int, policy: Policy, now: Moment) -> Done | Repeated | Rejected:
    """Apply a command that is new. Refuses grants that expire before they begin (`invalid`)."""
    match command:
        case WorkspaceCreated():
            return create_workspace(book, command, at_ms, policy, now)
        case BotCreated():
            return name_bot(book, command, at_ms, policy)
        case GrantAssigned(data=data):
            expires_ms = to_ms(data.expires_at) if data.expires_at else at_ms + policy.grant_life_ms
            if expires_ms <= at_ms:
                return Rejected("invalid", "data.expires_at: must be later than the command's time")
            lot = Lot(f"grant:{data.grant_id}", "free", "", 0, at_ms, expires_ms)
            return add_credit(book, lot, data.amount_micros, now)
        case CreditsPurchased(data=data):
            if data.order_id in book.wallet.purchases.orders:
                reason = f"data.order_id: {data.order_id} was placed; billing.payment.settled credits it"
                return Rejected("conflict", reason)
            kind: LotKind = "designated" if data.bot_id else "shared"
            lot = Lot(f"order:{data.order_id}", kind, data.bot_id or "", 0, at_ms)
            return add_credit(book, lot, data.amount_micros, now)
        case PlanChanged():
            return change_plan(book, command, at_ms, policy)
        case _:
            return _apply_payment(book, command, at_ms, now)


def _apply_payment(book: Book, command: AnyPaymentCommand, at_ms: int, now: Moment) -> Done | Repeated | Rejected:
    match command:
        case OrderPlaced():
            return accept_order(book, command, at_ms)
        case PaymentSettled():
            return settle_order(book, command, at_ms, now)
        case PaymentFailed():
            return fail_order(book, command, at_ms)
        case PaymentActionRequired():
            return require_action(book, command)
        case OrderCancelled():
            return cancel_order(book, command, at_ms)
        case OrderRefunded():
            return refund_order(book, command, at_ms)
        case MethodSaved():
            return save_method(book, command)
        case MethodRemoved():
            return remove_method(book, command)
        case AutoReloadSet():
            return set_auto_reload(book, command, at_ms)
