"""Licences by product: buttons, and which bots can be made. Each row names the points that it shows."""

from typing import Any

import pytest

from schemas.products import BUTTONS, creation_refusal, state_of

NONE: dict[str, Any] = {}
SEARCH = {"search_ai": "licensed"}
TWO = {"search_ai": "licensed", "automation_ai": "licensed"}
TRIALS = {"automation_ai": "trial", "search_ai": "contact"}

ROWS = [
    # points and law, licences, product, button, can a bot be made
    ("P3: before the upgrade it can be tried", NONE, "automation_ai", "Try Now", True),
    ("P3: the same", NONE, "contact_center_ai", "Try Now", True),
    ("P4: sold on contact", NONE, "search_ai", "Contact Us", True),
    ("P4: the same", NONE, "agent_ai", "Contact Us", True),
    ("P1 P2 P4: licensed", SEARCH, "search_ai", "Create New", True),
    ("P1 P6: a licence covers its products only", SEARCH, "automation_ai", "Try Now", False),
    ("P6: and no other", SEARCH, "agent_ai", "Contact Us", False),
    ("P3 P5: two products", TWO, "automation_ai", "Create New", True),
    ("P5: the other of them", TWO, "search_ai", "Create New", True),
    ("P6: not in the licence", TWO, "contact_center_ai", "Try Now", False),
    ("P2: on trial by command", TRIALS, "automation_ai", "Try Now", True),
    ("P4: on contact by command", TRIALS, "search_ai", "Contact Us", False),
    ("P6: a licence that was taken back", {"search_ai": "contact"}, "search_ai", "Contact Us", False),
]


@pytest.mark.parametrize(("points", "licences", "product", "button", "can"), ROWS, ids=[row[0] for row in ROWS])
def test_a_licence_decides_what_can_be_made(points: str, licences: Any, product: Any, button: str, can: bool) -> None:
    """What the workspace sees beside a product, and whether a bot of it can be made."""
    assert points
    assert BUTTONS[state_of(product, licences)] == button
    refused = creation_refusal(product, licences)
    assert (refused is None) == can
    assert refused is None or (
        refused.code == "product_not_licensed" and refused.reason.startswith(f"product: {product} ")
    )
