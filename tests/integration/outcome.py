"""What a deployment came to, held against the oracle and against the laws of money: a test ends at what differs."""

import time
from pathlib import Path

from tests.integration import differences
from tests.integration.views import Outcome, outcome_of
from tests.oracle.oracle import Result, meter

_SHOWN = 20


def oracle(lines: list[bytes]) -> Result:
    """What a feed must come to, now."""
    return meter(lines, int(time.time() * 1000))


def assert_exact(data: Path, lines: list[bytes], *, in_order: bool) -> Outcome:
    """Everything that analysts can see is what the oracle says, and the money adds up."""
    outcome, expected = outcome_of(data), oracle(lines)
    assert_metered(outcome, expected)
    _assert_none(differences.refused(outcome, expected, lines))
    assert_charged(outcome, expected, by_lot=in_order)
    assert_money_conserved(outcome)
    assert_ledger_sound(outcome)
    return outcome


def assert_metered(outcome: Outcome, expected: Result) -> None:
    """Conversations and usage are the oracle's."""
    _assert_none(differences.metered(outcome, expected))


def assert_charged(outcome: Outcome, expected: Result, *, by_lot: bool) -> None:
    """Units and balances are the oracle's."""
    _assert_none(differences.units(outcome, expected) + differences.charged(outcome, expected, by_lot=by_lot))


def assert_money_conserved(outcome: Outcome) -> None:
    """Nothing comes from nowhere, and nothing goes there."""
    _assert_none(differences.money_conserved(outcome))


def assert_ledger_sound(outcome: Outcome) -> None:
    """Every entry has its place, and what is undone was done."""
    _assert_none(differences.ledger_sound(outcome))


def _assert_none(found: list[str]) -> None:
    assert not found, f"{len(found)} differences:\n" + "\n".join(found[:_SHOWN])
