"""Plans over time. The plan in force at its first message charges a conversation (DOMAIN, Prices)."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from operator import attrgetter

import msgspec

from schemas.commands import PlanName

INHERITED = -1
"""The price of a bot's enterprise term whose command named none: the workspace's enterprise price of that time."""

Cause = tuple[str, str]
"""Source and id of a command. Of two commands for one instant the one with the higher cause stands."""


class Term(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A plan and the price of its unit in micro-dollars, in force from event time `from_ms` on."""

    from_ms: int
    plan: PlanName
    price_micros: int
    cause: Cause = ("", "")
    session_micros: int = INHERITED
    """The enterprise price that the command named, on any plan. Bots of the workspace can inherit it."""

    @property
    def rank(self) -> tuple[int, Cause]:
        """Terms in ascending order of this are in the order in which they replace each other."""
        return self.from_ms, self.cause


BEGINNING_MS = -1
"""From when on an assumed plan is in force: before any event and any command, which are refused before 0."""


class Timeline(msgspec.Struct, array_like=True):
    """The terms of a workspace or of a bot, by time. Commands may arrive in any order of their times.

    Of the terms of one instant the last one stands. The last one that names an enterprise price is kept beside it,
    because a bot may have inherited that price. So an instant has at most two terms, however many commands name it.
    """

    terms: list[Term] = []
    priced: list[Term] = []
    """Those of `terms` that name an enterprise price, derived from them."""

    def add(self, term: Term) -> None:
        """Add a term. The order of the additions does not matter."""
        insort(self.terms, term, key=_rank)
        first, end = self._instant(term.from_ms)
        same = self.terms[first:end]
        kept = [each for each in same if each is same[-1] or each is _last_priced(same)]
        self.terms[first:end] = kept
        first = bisect_left(self.priced, term.from_ms, key=_from_ms)
        end = bisect_right(self.priced, term.from_ms, key=_from_ms)
        self.priced[first:end] = [each for each in kept if each.session_micros != INHERITED]

    def of(self, from_ms: int) -> tuple[Term, ...]:
        """The terms of one instant: none, one or two."""
        first, end = self._instant(from_ms)
        return tuple(self.terms[first:end])

    def instants(self) -> Iterable[int]:
        """The times from which terms are in force, each once."""
        return dict.fromkeys(each.from_ms for each in self.terms)

    def forget_assumed(self) -> None:
        """Remove the assumed term. Called when a command creates a provisioned workspace and names its plan."""
        self.terms = [each for each in self.terms if each.from_ms != BEGINNING_MS]

    def at(self, at_ms: int) -> Term | None:
        """The term in force at `at_ms`; None before the first term."""
        if self.terms and self.terms[-1].from_ms <= at_ms:  # As nearly always.
            return self.terms[-1]
        after = bisect_right(self.terms, at_ms, key=_from_ms)
        return self.terms[after - 1] if after else None

    @property
    def first(self) -> Term | None:
        """The earliest term, which also charges conversations before it; None if there is no term."""
        return self.at(self.terms[0].from_ms) if self.terms else None

    def enterprise_micros(self, at_ms: int) -> int | None:
        """The newest enterprise price named for `at_ms` or before, else the earliest one; None if there is none."""
        if not self.priced:
            return None
        first_ms = max(at_ms, self.priced[0].from_ms)
        return self.priced[bisect_right(self.priced, first_ms, key=_from_ms) - 1].session_micros

    def _instant(self, from_ms: int) -> tuple[int, int]:
        """The numbers of the first term of an instant, and of the first one after it."""
        return bisect_left(self.terms, from_ms, key=_from_ms), bisect_right(self.terms, from_ms, key=_from_ms)


_rank = attrgetter("rank")
_from_ms = attrgetter("from_ms")


def _last_priced(terms: list[Term]) -> Term | None:
    return next((each for each in reversed(terms) if each.session_micros != INHERITED), None)


def in_force(workspace: Timeline, bot: Timeline | None, at_ms: int) -> Term:
    """The term that charges a conversation whose first message is at `at_ms`.

    It is the bot's own term, else the workspace's, else the workspace's first. The workspace must have a term.
    """
    own = bot.at(at_ms) if bot is not None else None
    if own is not None and own.price_micros == INHERITED:
        micros = workspace.enterprise_micros(own.from_ms)
        assert micros is not None, "an enterprise price that a bot inherits is never forgotten"
        return Term(own.from_ms, own.plan, micros)
    term = own or workspace.at(at_ms) or workspace.first
    assert term is not None, "a workspace that charges has a plan"
    return term
