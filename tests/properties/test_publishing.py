"""The decision about a publish request is total, and more credit never makes it worse."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from meter.core.wallet.commands.publishing import DECISIONS, PublishRequest, decide
from meter.core.wallet.entitlements import BotCredit

near_zero = st.integers(-3, 3) | st.integers(-60, 60).map(lambda dollars: dollars * 1_000_000)
not_negative = near_zero.map(abs)
credits_ = st.builds(
    lambda own, free, **more: BotCredit(free_micros=free + own, own_free_micros=own, **more),
    own=not_negative,
    free=not_negative,
    designated_micros=not_negative,
    shared_micros=near_zero,
    overdraft_micros=not_negative,
)
requests = st.builds(
    PublishRequest,
    plan=st.sampled_from(("standard", "enterprise")),
    credit=credits_,
    unit_micros=st.sampled_from((0, 1, 200_000)),
    channels=st.sampled_from(((), ("webchat",), ("webchat", "voice"))),
    auto_approval=st.sampled_from((None, False, True)),
    has_completed_top_up=st.booleans(),
    review=st.booleans(),
    approved=st.sampled_from((None, False, True)),
    is_first=st.booleans(),
    waits_for_order=st.booleans(),
    order_settled=st.booleans(),
    payment_in_progress=st.booleans(),
    low_micros=not_negative,
)


@given(requests, st.text(max_size=5))
def test_every_request_has_a_decision_and_a_message(request: PublishRequest, bot: str) -> None:
    """No combination raises, and a bot that is not published has a message that does not say so."""
    found = decide(request)
    message = found.message(bot, request)
    assert found.decision in DECISIONS
    assert (found.decision == "refused") == (message.kind == "error" or found.message_key == "payment_in_progress")
    if found.decision != "published":
        assert found.message_key in (
            "no_channel",
            "declined",
            "first_zero_balance",
            "zero_balance",
            "payment_in_progress",
            "waiting_for_order",
            "waiting_for_approval",
        )


@given(requests, st.sampled_from(BotCredit.__struct_fields__), not_negative)
def test_more_credit_never_makes_a_decision_worse(request: PublishRequest, pocket: str, more: int) -> None:
    """Published stays published, and a request that waits is not refused."""
    changes: dict[str, Any] = {pocket: getattr(request.credit, pocket) + more}
    if pocket == "own_free_micros":
        changes["free_micros"] = request.credit.free_micros + more
    richer = msgspec.structs.replace(request, credit=msgspec.structs.replace(request.credit, **changes))
    assert DECISIONS.index(decide(richer).decision) >= DECISIONS.index(decide(request).decision)


@given(requests)
def test_standard_publishes_on_credit_only(request: PublishRequest) -> None:
    """Two gates: without credit, or without an approval of any kind, a bot on Standard is not published."""
    if decide(request).decision != "published" or request.plan != "standard":
        return
    assert request.channels
    assert sum((request.credit.free_micros, request.credit.designated_micros, request.credit.shared_micros)) > 0
    assert request.approved or (request.auto_approval and request.has_completed_top_up and not request.review)


@given(requests)
def test_an_administrators_yes_never_makes_a_decision_worse(request: PublishRequest) -> None:
    """Nor does turning auto-approval on, after a purchase."""
    before = DECISIONS.index(decide(msgspec.structs.replace(request, approved=None)).decision)
    assert DECISIONS.index(decide(msgspec.structs.replace(request, approved=True)).decision) >= before
    opened = msgspec.structs.replace(request, auto_approval=True, has_completed_top_up=True)
    assert DECISIONS.index(decide(opened).decision) >= DECISIONS.index(decide(request).decision)
