"""Plans over time. The plan in force at its first message charges a conversation (DOMAIN, Prices)."""

from bisect import insort

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


_BEGINNING_MS = -1
"""A time before any event and any command, which are refused before 0."""


class Timeline(msgspec.Struct, array_like=True):
    """The terms of a workspace or of a bot, by time. Commands may arrive in any order of their times.

    Of the terms of one instant the last one stands. The others are kept, because a bot may have inherited their price.
    """

    terms: list[Term] = []

    def add(self, term: Term) -> None:
        """Add a term. The order of the additions does not matter."""
        insort(self.terms, term, key=lambda each: each.rank)

    def assume(self, plan: PlanName, price_micros: int) -> None:
        """Add a term before all others. Called when a workspace is provisioned, because no command named a plan."""
        self.add(Term(_BEGINNING_MS, plan, price_micros))

    def forget_assumed(self) -> None:
        """Remove the assumed term. Called when a command creates a provisioned workspace and names its plan."""
        self.terms = [each for each in self.terms if each.from_ms != _BEGINNING_MS]

    def at(self, at_ms: int) -> Term | None:
        """The term in force at `at_ms`; None before the first term."""
        for term in reversed(self.terms):
            if term.from_ms <= at_ms:
                return term
        return None

    @property
    def first(self) -> Term | None:
        """The earliest term, which also charges conversations before it; None if there is no term."""
        return self.at(self.terms[0].from_ms) if self.terms else None

    def enterprise_micros(self, at_ms: int) -> int | None:
        """The newest enterprise price named for `at_ms` or before, else the earliest one; None if there is none."""
        priced = [each for each in self.terms if each.session_micros != INHERITED]
        if not priced:
            return None
        first_ms = max(at_ms, priced[0].from_ms)
        return [each.session_micros for each in priced if each.from_ms <= first_ms][-1]


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
