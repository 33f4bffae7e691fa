"""Account commands: what each does to a wallet, and what makes one refused (DOMAIN, Prices and Debit order)."""

import msgspec

from meter.core.policy import Policy
from meter.core.wallet.book import Book, Bot, Posting
from meter.core.wallet.charge import lapse
from meter.core.wallet.lots import Lot
from meter.core.wallet.plan_terms import Term
from schemas.commands import (
    AnyCommand,
    BotCreated,
    CreditsPurchased,
    GrantAssigned,
    GrantData,
    PlanChanged,
    PlanName,
    WorkspaceCreated,
)
from schemas.ids import digest, event_key
from schemas.instants import to_ms
from schemas.ledger import EntryKind, LotKind

INITIAL_GRANT = "initial"
"""Lot id of the grant that comes with a workspace: it has one, however it came to be."""


class Done(msgspec.Struct, frozen=True):
    """The command took effect. `rebill` says that conversations may have to be charged anew."""

    rebill: bool = False


class Repeated(msgspec.Struct, frozen=True):
    """The same command again."""


class Refused(msgspec.Struct, frozen=True):
    """The command cannot take effect; `reason` names the field."""

    code: str
    reason: str


def obey(book: Book, command: AnyCommand, policy: Policy, clock_ms: int) -> Done | Repeated | Refused:
    """Apply one command, once: a repeat of (source, id) changes nothing, another content under it is a conflict."""
    key = event_key(command.data.workspace_id, command.source, command.id).hex()
    content = _content(command)
    known = book.wallet.commands.get(key)
    if known is not None:
        return Repeated() if known == content else Refused("conflict", f"id: {command.id} was another command before")
    outcome = _apply(book, command, policy, clock_ms)
    if not isinstance(outcome, Refused):
        book.wallet.commands[key] = content
    return outcome


def _content(command: AnyCommand) -> str:
    """A digest of all that a command says. Instants count as such, in whatever zone they were written."""
    instants, data = [to_ms(command.time)], command.data
    if isinstance(data, GrantData) and data.expires_at is not None:
        instants.append(to_ms(data.expires_at))
        data = msgspec.structs.replace(data, expires_at=None)
    return digest(type(command).__name__, str(instants), msgspec.json.encode(data).decode()).hex()


def _apply(book: Book, command: AnyCommand, policy: Policy, clock_ms: int) -> Done | Repeated | Refused:
    at_ms = to_ms(command.time)
    if at_ms < 0:
        return Refused("too_old", "time: is before 1970 and cannot take effect")
    match command:
        case WorkspaceCreated():
            return _create(book, command, at_ms, policy, clock_ms)
        case BotCreated():
            return _name_bot(book, command, at_ms, policy)
        case GrantAssigned(data=data):
            expires_ms = to_ms(data.expires_at) if data.expires_at else at_ms + policy.grant_life_ms
            if expires_ms <= at_ms:
                return Refused("invalid", "data.expires_at: must be later than the command's time")
            lot = Lot(f"grant:{data.grant_id}", "free", "", 0, at_ms, expires_ms)
            return _add(book, lot, data.amount_micros, clock_ms)
        case CreditsPurchased(data=data):
            kind: LotKind = "designated" if data.bot_id else "shared"
            lot = Lot(f"order:{data.order_id}", kind, data.bot_id or "", 0, at_ms)
            return _add(book, lot, data.amount_micros, clock_ms)
        case PlanChanged():
            return _change_plan(book, command, at_ms, policy)


def _create(
    book: Book, command: WorkspaceCreated, at_ms: int, policy: Policy, clock_ms: int
) -> Done | Repeated | Refused:
    data, wallet = command.data, book.wallet
    if wallet.status == "created":
        return Refused("conflict", f"data.workspace_id: {data.workspace_id} was created before")
    price_micros = _price(data.plan, data.session_price_micros, policy)
    if price_micros is None:
        return Refused("invalid", "data.session_price_micros: required on the enterprise plan")
    if wallet.status == "provisioned":
        wallet.plan.forget_assumed()
    wallet.plan.add(Term(at_ms, data.plan, price_micros))
    open_wallet(book, data.plan, data.free_grant_micros, at_ms, policy, clock_ms)
    wallet.status, wallet.owner, wallet.name = "created", data.owner, data.name
    return Done(rebill=True)


def open_wallet(
    book: Book, plan: PlanName, free_grant_micros: int | None, at_ms: int, policy: Policy, clock_ms: int
) -> None:
    """Give a workspace, once, the free grant that comes with it (default $500 on Standard, else none)."""
    default_micros = policy.free_grant_micros if plan == "standard" else 0
    amount_micros = default_micros if free_grant_micros is None else free_grant_micros
    if amount_micros and INITIAL_GRANT not in book.wallet.lots.by_id:
        expires_ms = at_ms + policy.grant_life_ms
        _add(book, Lot(INITIAL_GRANT, "free", "", 0, at_ms, expires_ms), amount_micros, clock_ms)
    book.changed = True


def _name_bot(book: Book, command: BotCreated, at_ms: int, policy: Policy) -> Done | Refused:
    data = command.data
    bot = book.wallet.bots.get(data.bot_id, Bot())
    if data.plan is not None:
        of_workspace = book.wallet.plan.at(at_ms) or book.wallet.plan.first
        inherited = of_workspace.price_micros if of_workspace and of_workspace.plan == "enterprise" else None
        given = inherited if data.session_price_micros is None else data.session_price_micros
        price_micros = _price(data.plan, given, policy)
        if price_micros is None:
            return Refused("invalid", "data.session_price_micros: required, because the workspace has none to inherit")
        bot.plan.add(Term(at_ms, data.plan, price_micros))
    bot.name, bot.owner = data.name, data.owner
    book.wallet.bots[data.bot_id] = bot
    book.changed = True
    return Done(rebill=data.plan is not None)


def _change_plan(book: Book, command: PlanChanged, at_ms: int, policy: Policy) -> Done | Refused:
    data = command.data
    price_micros = _price(data.plan, data.session_price_micros, policy)
    if price_micros is None:
        return Refused("invalid", "data.session_price_micros: required on the enterprise plan")
    term = Term(at_ms, data.plan, price_micros)
    if data.bot_id is None:
        book.wallet.plan.add(term)
    else:
        book.wallet.bots.setdefault(data.bot_id, Bot()).plan.add(term)
    book.changed = True
    return Done(rebill=True)


def _price(plan: PlanName, session_price_micros: int | None, policy: Policy) -> int | None:
    """The price of the plan's unit; None where an enterprise contract names none."""
    return policy.conversation_micros if plan == "standard" else session_price_micros


def _add(book: Book, lot: Lot, amount_micros: int, clock_ms: int) -> Done | Repeated | Refused:
    """Enter a lot with the credit it comes with. The order's or grant's own id makes a second one a repeat."""
    known = book.wallet.lots.by_id.get(lot.lot_id)
    lot.credited_micros = amount_micros
    if known is not None:
        field = "grant_id" if lot.kind == "free" else "order_id"
        same = _identity(known) == _identity(lot)
        return Repeated() if same else Refused("conflict", f"data.{field}: {lot.lot_id} was credited otherwise before")
    book.add_lot(lot)
    kind: EntryKind = "grant" if lot.kind == "free" else "purchase"
    book.post(lot, kind, amount_micros, Posting(lot.bot_id, "", "", lot.assigned_ms))
    lapse(book, lot, clock_ms)
    return Done()


def _identity(lot: Lot) -> tuple[object, ...]:
    return lot.kind, lot.bot_id, lot.assigned_ms, lot.expires_ms, lot.credited_micros
