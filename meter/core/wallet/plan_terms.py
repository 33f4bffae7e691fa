"""Plans over time. The plan in force at its first message charges a conversation (DOMAIN, Prices)."""

import msgspec

from schemas.commands import PlanName


class Term(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A plan and the price of its unit in micro-dollars, in force from event time `from_ms` on."""

    from_ms: int
    plan: PlanName
    price_micros: int


_BEGINNING_MS = -1
"""A time before any event and any command, which are refused before 0."""


class Timeline(msgspec.Struct, array_like=True):
    """The terms of a workspace or of a bot, by time. Commands may arrive in any order of their times."""

    terms: list[Term] = []

    def add(self, term: Term) -> None:
        """Add a term. It replaces one from the same instant."""
        self.terms = sorted(
            [*(each for each in self.terms if each.from_ms != term.from_ms), term], key=lambda each: each.from_ms
        )

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
        return self.terms[0] if self.terms else None


def in_force(workspace: Timeline, bot: Timeline | None, at_ms: int) -> Term:
    """The term that charges a conversation whose first message is at `at_ms`.

    It is the bot's own term, else the workspace's, else the workspace's first. The workspace must have a term.
    """
    term = (bot.at(at_ms) if bot is not None else None) or workspace.at(at_ms) or workspace.first
    assert term is not None, "a workspace that charges has a plan"
    return term
