"""The entitlements of a workspace's bots: a record of each whose answer an input has changed (docs/adr/0035).

The answer follows from the state alone. So every replay writes the same records at the same versions, and the newest
record of a bot is right, also if a worker wrote it that was superseded.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from meter.core.policy import Policy
from meter.core.wallet.answer_reach import Reach, reach, step_of
from meter.core.wallet.answers import Answer, Answers, Unanswered
from meter.core.wallet.book import Book
from meter.core.wallet.entitlements import BotCredit, Entitlement, Reload, entitlement, low_limit_micros
from meter.core.wallet.plan_terms import Term, in_force
from meter.core.wallet.purchases import Scope
from schemas.commands import PlanName
from schemas.entitlements import EntitlementRecord
from schemas.instants import rfc3339


class Now(msgspec.Struct, frozen=True):
    """All that decides an answer beside the book: the policy, event time in ms, and the version of the input."""

    policy: Policy
    clock_ms: int
    version: int


def changed_entitlements(book: Book, now: Now) -> Iterator[EntitlementRecord]:
    """Answer the bots that the last input may have concerned, and yield a record of each whose answer has changed.

    A bot that is new had no answer before, nor had any bot of a workspace that was not created yet.
    """
    changes, book.unanswered = book.unanswered or Unanswered(), None
    wallet = book.wallet
    if wallet.status == "unknown":
        return
    if book.answers is None:
        book.answers = _opened(book, now, changes)
    answers = book.answers
    for bot_id, micros in changes.own_micros.items():
        answers.add_own(bot_id, micros)
    due = answers.left(wallet.free_micros, wallet.paid_micros) | changes.own_micros.keys() | changes.bots
    for bot_id in sorted(wallet.bots if changes.is_all else due & wallet.bots.keys()):
        look = _look(book, bot_id, _credit(answers, bot_id, wallet.free_micros, wallet.paid_micros), now)
        if answers.put(bot_id, look.answer, look.reach):
            yield look.record(wallet.workspace_id, bot_id, now)
    book.bounds = answers.bounds


def open_answers(book: Book, now: Now) -> None:
    """Answer the bots as they stood before the present input, where that was not done since the book was unpacked.

    Called before something else than credit changes: a plan, or a scope of paid credit. `now` is without that change.
    """
    if book.answers is None and book.wallet.status != "unknown":
        book.answers = _opened(book, now, book.unanswered or Unanswered())


def standing_entitlements(book: Book, now: Now, after: str) -> Iterator[EntitlementRecord]:
    """Yield the record of each bot whose id is above `after`, in order, as it stands. Changes nothing."""
    wallet = book.wallet
    if wallet.status == "unknown":
        return
    answers = Answers(_own_micros(book), has_free=wallet.free_micros > 0)
    for bot_id in sorted(each for each in wallet.bots if each > after):
        look = _look(book, bot_id, _credit(answers, bot_id, wallet.free_micros, wallet.paid_micros), now)
        yield look.record(wallet.workspace_id, bot_id, now)


def plan_in_force(book: Book, bot_id: str, clock_ms: int) -> Term:
    """The plan of a bot now. A plan is in force from its time on, or from its command's arrival if that is earlier."""
    wallet, bot = book.wallet, book.wallet.bots[bot_id]
    own_ms = max(clock_ms, bot.plan_begun_ms)
    if bot.plan.at(own_ms) is not None:
        return in_force(wallet.plan, bot.plan, own_ms)
    return in_force(wallet.plan, None, max(clock_ms, wallet.plan_begun_ms))


def _opened(book: Book, now: Now, changes: Unanswered) -> Answers:
    """The answers of the bots before `changes`, without those that have to be answered anyhow."""
    own_micros = _own_micros(book)
    for bot_id, micros in changes.own_micros.items():
        own_micros[bot_id] -= micros
    free_micros, paid_micros = changes.before or (book.wallet.free_micros, book.wallet.paid_micros)
    answers = Answers(own_micros, has_free=free_micros > 0)
    if not changes.is_all:
        for bot_id in book.wallet.bots.keys() - changes.bots:
            look = _look(book, bot_id, _credit(answers, bot_id, free_micros, paid_micros), now)
            answers.put(bot_id, look.answer, look.reach)
    return answers


def _own_micros(book: Book) -> dict[str, int]:
    """The designated credit by bot, in micro-dollars."""
    own_micros: defaultdict[str, int] = defaultdict(int)
    for lot in book.wallet.lots.by_id.values():
        if lot.kind == "designated":
            own_micros[lot.bot_id] += lot.remaining_micros
    return own_micros


def _credit(answers: Answers, bot_id: str, free_micros: int, paid_micros: int) -> BotCredit:
    return BotCredit(
        free_micros=free_micros,
        designated_micros=answers.own_micros(bot_id),
        shared_micros=answers.shared_micros(paid_micros),
    )


class _Look(NamedTuple):
    """A bot as it stands: its credit, its plan, the price of its unit, and what follows from them.

    `low_micros` is the balance at or below which it is low.
    """

    credit: BotCredit
    plan: PlanName
    unit_micros: int
    low_micros: int
    reload: Reload
    found: Entitlement

    @property
    def answer(self) -> Answer:
        found = self.found
        units = None if found.allowed_units is None else step_of(found.allowed_units)[0]
        return Answer(found.reason, found.status, self.plan, units, found.attribution)

    @property
    def reach(self) -> Reach:
        return reach(self.credit, self.plan, self.unit_micros, self.low_micros, self.reload.bridged_micros)

    def record(self, workspace_id: str, bot_id: str, now: Now) -> EntitlementRecord:
        found, credit = self.found, self.credit
        return EntitlementRecord(
            workspace_id=workspace_id,
            bot_id=bot_id,
            active=found.active,
            status=found.status,
            reason=found.reason,
            plan=self.plan,
            available_micros=found.available_micros,
            free_micros=credit.free_micros,
            designated_micros=credit.designated_micros,
            shared_micros=credit.shared_micros,
            allowed_units=found.allowed_units,
            attribution=found.attribution,
            limits=found.limits,
            features=found.features,
            as_of=rfc3339(now.clock_ms) if now.clock_ms > 0 else "",
            version=now.version,
        )


def _look(book: Book, bot_id: str, credit: BotCredit, now: Now) -> _Look:
    term = plan_in_force(book, bot_id, now.clock_ms)
    unit_micros = now.policy.conversation_micros if term.plan == "standard" else term.price_micros
    scopes = book.wallet.purchases.scopes
    own, shared = scopes.get(bot_id), scopes.get("")
    low_micros = low_limit_micros(_threshold_micros(own), _threshold_micros(shared))
    reload = _reload(book, own) or _reload(book, shared) or Reload()
    found = entitlement(
        credit, term.plan, unit_micros, debit_order=now.policy.debit_order, low_micros=low_micros, reload=reload
    )
    return _Look(credit, term.plan, unit_micros, low_micros, reload, found)


def _threshold_micros(scope: Scope | None) -> int | None:
    """The threshold of an auto-reload that was set once, also if it is off now."""
    return scope.threshold_micros if scope is not None and scope.is_set else None


def _reload(book: Book, scope: Scope | None) -> Reload | None:
    """The reload of a scope that is in flight."""
    if scope is None or not scope.auto_order:
        return None
    order = book.wallet.purchases.orders[scope.auto_order]
    return Reload(reload_micros=order.amount_micros, in_flight=True, last_failed=scope.failures > 0)
