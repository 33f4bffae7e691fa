"""The commands that name a bot or change a plan."""

from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.core.wallet.book import Book
from meter.core.wallet.commands.outcome import Done
from meter.core.wallet.plan_terms import INHERITED, Term
from schemas.commands import (
    BotCreated,
    PlanChanged,
    PlanData,
    PlanName,
    WorkspaceData,
)


def name_bot(book: Book, command: BotCreated, at_ms: int, policy: Policy) -> Done | Rejected:
    """Set a bot's name and owner; give it its own plan from `at_ms` on if the command has one.

    An enterprise plan without a price takes the workspace's enterprise price of that time, as it is known whenever a
    conversation is charged, or its first one. Refused as `invalid` if the workspace has none yet. Of several commands
    for one bot the last one by (time, source, id) says its name and owner.
    """
    data = command.data
    if data.plan is not None:
        inherited = None if book.wallet.plan.enterprise_micros(at_ms) is None else INHERITED
        given = inherited if data.session_price_micros is None else data.session_price_micros
        price_micros = price_of(data.plan, given, policy)
        if price_micros is None:
            return Rejected("invalid", "data.session_price_micros: required, because the workspace has none to inherit")
        book.add_term(Term(at_ms, data.plan, price_micros, (command.source, command.id)), data.bot_id)
    if data.bot_id not in book.wallet.bots:
        book.meet(data.bot_id)
    bot = book.wallet.bots[data.bot_id]
    named = at_ms, command.source, command.id
    if named >= bot.named:
        bot.name, bot.owner, bot.named = data.name, data.owner, named
    book.touched.bots.add(data.bot_id)
    book.changed = True
    return Done(rebill=data.plan is not None)


def change_plan(book: Book, command: PlanChanged, at_ms: int, policy: Policy) -> Done | Rejected:
    """Put a plan in force from `at_ms` on, for the workspace, or for one bot if the command names it.

    Refused as `invalid` if it is enterprise without a price. The bot need not be known yet.
    """
    data = command.data
    price_micros = price_of(data.plan, data.session_price_micros, policy)
    if price_micros is None:
        return Rejected("invalid", "data.session_price_micros: required on the enterprise plan")
    term = Term(at_ms, data.plan, price_micros, (command.source, command.id), session_micros(data))
    book.add_term(term, data.bot_id or "")
    if data.bot_id is not None:
        book.touched.bots.add(data.bot_id)
    book.changed = True
    return Done(rebill=True)


def session_micros(data: PlanData | WorkspaceData) -> int:
    """The enterprise price that a command names, INHERITED if it names none."""
    return INHERITED if data.session_price_micros is None else data.session_price_micros


def price_of(plan: PlanName, session_price_micros: int | None, policy: Policy) -> int | None:
    """The price of a unit in micro-dollars: the policy's on Standard, the contract's on Enterprise.

    None for an enterprise plan without a price. The caller refuses the command then.
    """
    return policy.conversation_micros if plan == "standard" else session_price_micros
