"""Which plan bills a conversation: the one in force at its first message (DOMAIN, Prices)."""

import msgspec

from schemas.commands import PlanName


class Term(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A plan and the price of its unit, in force from `from_ms` on."""

    from_ms: int
    plan: PlanName
    price_micros: int


_BEGINNING_MS = -1
"""Before any event and any command."""


class Timeline(msgspec.Struct, array_like=True):
    """Terms by time. A command may arrive after others that take effect later; the latest written wins a tie."""

    terms: list[Term] = []

    def add(self, term: Term) -> None:
        """Put a term in its place, instead of one from the same instant."""
        self.terms = sorted(
            [*(each for each in self.terms if each.from_ms != term.from_ms), term], key=lambda each: each.from_ms
        )

    def assume(self, plan: PlanName, price_micros: int) -> None:
        """Put a term before all others, for want of a command."""
        self.add(Term(_BEGINNING_MS, plan, price_micros))

    def forget_assumed(self) -> None:
        """A command has come after all: its own term is the first."""
        self.terms = [each for each in self.terms if each.from_ms != _BEGINNING_MS]

    def at(self, at_ms: int) -> Term | None:
        """The term in force at `at_ms`, None before the first."""
        for term in reversed(self.terms):
            if term.from_ms <= at_ms:
                return term
        return None

    @property
    def first(self) -> Term | None:
        """The earliest term, which also bills what came before it."""
        return self.terms[0] if self.terms else None


def in_force(workspace: Timeline, bot: Timeline | None, at_ms: int) -> Term:
    """The bot's own term at `at_ms`, else the workspace's; before the workspace's first term, that first one."""
    term = (bot.at(at_ms) if bot is not None else None) or workspace.at(at_ms) or workspace.first
    assert term is not None, "a workspace that charges has a plan"
    return term
