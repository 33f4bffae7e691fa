"""The commands that name a bot or change a plan."""

from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.core.wallet.book import Book, Bot
from meter.core.wallet.commands.outcome import Done
from meter.core.wallet.plan_terms import Term
from schemas.commands import (
    BotCreated,
    PlanChanged,
    PlanName,
)


def name_bot(book: Book, command: BotCreated, at_ms: int, policy: Policy) -> Done | Rejected:
    """Set a bot's name and owner; give it its own plan from `at_ms` on if the command has one.

    An enterprise plan without a price takes the enterprise price of the workspace's plan at `at_ms`, or of its first
    plan if none is in force yet. Refused as `invalid` if that plan has no enterprise price. A later command for the
    same bot replaces its name and owner.
    """
    data = command.data
    bot = book.wallet.bots.get(data.bot_id, Bot())
    if data.plan is not None:
        of_workspace = book.wallet.plan.at(at_ms) or book.wallet.plan.first
        inherited = of_workspace.price_micros if of_workspace and of_workspace.plan == "enterprise" else None
        given = inherited if data.session_price_micros is None else data.session_price_micros
        price_micros = price_of(data.plan, given, policy)
        if price_micros is None:
            return Rejected("invalid", "data.session_price_micros: required, because the workspace has none to inherit")
        bot.plan.add(Term(at_ms, data.plan, price_micros))
    bot.name, bot.owner = data.name, data.owner
    book.wallet.bots[data.bot_id] = bot
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
    term = Term(at_ms, data.plan, price_micros)
    if data.bot_id is None:
        book.wallet.plan.add(term)
    else:
        book.wallet.bots.setdefault(data.bot_id, Bot()).plan.add(term)
    book.changed = True
    return Done(rebill=True)


def price_of(plan: PlanName, session_price_micros: int | None, policy: Policy) -> int | None:
    """The price of a unit in micro-dollars: the policy's on Standard, the contract's on Enterprise.

    None for an enterprise plan without a price. The caller refuses the command then.
    """
    return policy.conversation_micros if plan == "standard" else session_price_micros
