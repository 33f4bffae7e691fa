"""Refusals by the rules of plans, roles, publishing and support: a code, and a sentence that says what to do."""

from typing import Literal

import msgspec

RefusalCode = Literal[
    "amount_below_minimum",
    "declined",
    "last_owner",
    "no_channel",
    "no_completed_top_up",
    "no_credit",
    "no_member",
    "not_allowed",
    "plan_not_allowed",
    "product_not_licensed",
]
"""The codes, and when each is used.

amount_below_minimum: a price is below the published one. declined: an administrator said no. last_owner: a workspace
must keep an owner. no_channel: a bot has no channel to be published on. no_completed_top_up: no purchase has completed
yet. no_credit: no credit covers the bot. no_member: the person is not a member of the workspace. not_allowed: the role
does not permit it. plan_not_allowed: the plan does not include it. product_not_licensed:
the licence of the workspace does not include the product.
"""


class Refused(msgspec.Struct, frozen=True):
    """The refusal of an act, which had no effect. `reason` is one sentence that names the field and what to do."""

    code: RefusalCode
    reason: str
