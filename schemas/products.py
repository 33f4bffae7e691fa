"""Licences by product: what a workspace sees of each product, and for which it can make bots (docs/adr/0033)."""

from collections.abc import Mapping
from typing import Final, Literal

from schemas.refusals import Refused

Product = Literal["automation_ai", "search_ai", "contact_center_ai", "agent_ai"]

LicenceState = Literal["trial", "contact", "licensed"]
"""trial: can be tried. contact: is sold on contact only. licensed: part of the workspace's licence."""

WITHOUT_LICENCE: Final[Mapping[Product, LicenceState]] = {
    "automation_ai": "trial",
    "search_ai": "contact",
    "contact_center_ai": "trial",
    "agent_ai": "contact",
}
"""The state of each product in a workspace that no licence command names it in."""

BUTTONS: Final[Mapping[LicenceState, str]] = {"trial": "Try Now", "contact": "Contact Us", "licensed": "Create New"}
"""The button that each state shows beside a product."""


def state_of(product: Product, licences: Mapping[Product, LicenceState]) -> LicenceState:
    """Return the state of a product. `licences` are the states that commands have set."""
    return licences.get(product, WITHOUT_LICENCE[product])


def creation_refusal(product: Product, licences: Mapping[Product, LicenceState]) -> Refused | None:
    """Return why no bot of `product` can be made; None if one can.

    A workspace in which no command set a licence is not restricted. In any other, a licensed product can be used. One
    on trial can be tried while nothing is licensed; a licence for some products leaves the others unavailable. Code:
    `product_not_licensed`.
    """
    state = state_of(product, licences)
    is_partial = "licensed" in licences.values()
    if not licences or state == "licensed" or (state == "trial" and not is_partial):
        return None
    return Refused("product_not_licensed", f"product: {product} is not licensed; request an upgrade that includes it")
