"""The decision about a publish request: for every combination of its fields, with credit around each edge.

No request is drawn at random. There are few enough to try all of them.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any, Final

import pytest

from meter.core.wallet.commands.publishing import DECISIONS, PublishRequest, decide
from meter.core.wallet.entitlements import BotCredit
from schemas.commands import PlanName

LOW: Final = 5
POCKETS: Final = {
    "free_micros": (0, 1),
    "designated_micros": (0, LOW + 1),
    "shared_micros": (-LOW - 2, -1, 0, LOW),
    "overdraft_micros": (0, LOW + 2),
}
"""The credit of each pocket, ascending: about zero, and about the limit of a low balance."""

CREDITS: Final = [dict(zip(POCKETS, amounts, strict=True)) for amounts in product(*POCKETS.values())]
FIELDS: Final[dict[str, tuple[Any, ...]]] = {
    "channels": ((), ("webchat",)),
    "auto_approval": (None, False, True),
    "has_completed_top_up": (False, True),
    "review": (False, True),
    "approved": (None, False, True),
    "is_first": (False, True),
    "waits_for_order": (False, True),
    "order_settled": (False, True),
    "payment_in_progress": (False, True),
}
PLANS: Final[tuple[PlanName, ...]] = ("standard", "enterprise")


def combinations(plan: PlanName, **fixed: Any) -> Iterator[dict[str, Any]]:
    """All fields of a request but its credit, except those that are fixed."""
    free = {name: values for name, values in FIELDS.items() if name not in fixed}
    for values in product(*free.values()):
        yield {"plan": plan, "low_micros": LOW, "unit_micros": 1, **fixed, **dict(zip(free, values, strict=True))}


def rank(fields: dict[str, Any], credit: dict[str, int]) -> int:
    """The decision by its number, the best one highest."""
    return DECISIONS.index(decide(PublishRequest(**fields, credit=BotCredit(**credit))).decision)


@pytest.mark.parametrize("plan", PLANS)
def test_every_request_has_a_decision_and_a_fitting_message(plan: PlanName) -> None:
    """K19 to K28: no combination raises, and only a bot that is published has a message of those."""
    refused = {"no_channel", "declined", "first_zero_balance", "zero_balance", "payment_in_progress"}
    waiting = {"waiting_for_order", "waiting_for_approval"}
    for fields in combinations(plan):
        for credit in CREDITS:
            request = PublishRequest(**fields, credit=BotCredit(**credit))
            found = decide(request)
            key = found.message_key
            expected = "refused" if key in refused else key if key in waiting else "published"
            assert found.decision == expected, (request, key)
            assert found.code == found.decision or found.decision == "refused"


@pytest.mark.parametrize("plan", PLANS)
def test_more_credit_never_makes_a_decision_worse(plan: PlanName) -> None:
    """Published stays published, and a request that waits is not refused: a step up in any one pocket."""
    for fields in combinations(plan):
        ranks = {tuple(credit.values()): rank(fields, credit) for credit in CREDITS}
        for amounts, decision in ranks.items():
            for at, steps in enumerate(POCKETS.values()):
                higher = [step for step in steps if step > amounts[at]][:1]
                for step in higher:
                    assert ranks[(*amounts[:at], step, *amounts[at + 1 :])] >= decision, (fields, amounts)


def test_standard_publishes_on_credit_and_with_an_approval_only() -> None:
    """Two gates (X4): with any approval, a bot without credit is not published."""
    for fields in combinations("standard"):
        for credit in CREDITS:
            if rank(fields, credit) < DECISIONS.index("published"):
                continue
            assert fields["channels"]
            assert credit["free_micros"] + credit["designated_micros"] + credit["shared_micros"] > 0, fields
            by_itself = fields["auto_approval"] and fields["has_completed_top_up"] and not fields["review"]
            assert fields["approved"] or (fields["approved"] is None and by_itself), fields


@pytest.mark.parametrize("plan", PLANS)
def test_an_administrators_yes_never_makes_a_decision_worse(plan: PlanName) -> None:
    """K32 to K34. Nor does it help a bot without credit."""
    for fields in combinations(plan, approved=None):
        for credit in CREDITS:
            assert rank({**fields, "approved": True}, credit) >= rank(fields, credit), fields
