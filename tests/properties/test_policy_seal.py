"""A policy record counts only if the product has written it: any client can write chat-events."""

import pytest
from msgspec import structs

from meter.core.policy import Policy, PolicyInForce
from meter.core.rejection import Rejected
from meter.core.wallet.wallets import Wallets
from meter.kafka.records import Record
from meter.sessionizer.engine import MakeEngine
from schemas.policy import PolicyRecord, encode_policy
from schemas.topics import CHAT_EVENTS
from tests.properties.memory_log import stored
from tests.sessionizer_engines import core, kernel, needs_kernel

KEY = "a key that only the product can read"
FIRST = Policy(seal_key=KEY)
NEXT = PolicyInForce(policy=structs.replace(FIRST, conversation_micros=1), version=2).record()
FORGED = (
    PolicyInForce(policy=Policy(conversation_micros=1), version=2).record(),
    structs.replace(NEXT, version=3),
    structs.replace(NEXT, conversation_micros=0),
    structs.replace(NEXT, seal=""),
)
"""Without the key, under another version, with another price, without a seal."""


@needs_kernel
@pytest.mark.parametrize("make", [core, kernel])
@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_policy_is_a_dead_letter(make: MakeEngine, forged: PolicyRecord) -> None:
    """In both engines; the policy in force stays, and the true one still takes effect."""
    engine = make(FIRST, 0)
    engine.finish(-1, 0, 0)
    values = [encode_policy(each) for each in (forged, NEXT)]
    part = engine.process([stored(CHAT_EVENTS.name, 0, at, Record(None, value)) for at, value in enumerate(values)])
    assert [(letter.code, letter.source_offset) for letter in part.letters] == [("invalid_field", 0)]
    assert part.switched is not None
    assert part.switched.policy.conversation_micros == 1


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_policy_changes_no_wallet(forged: PolicyRecord) -> None:
    """It is refused with a sentence that names the command."""
    wallets = Wallets(FIRST)
    refused = wallets.step(forged)
    assert isinstance(refused, Rejected)
    assert "meter policy set" in refused.reason
    assert wallets.in_force.version == 1
    assert wallets.step(NEXT) is None
    assert wallets.in_force.policy.conversation_micros == 1


def test_the_key_is_in_no_record_that_outsiders_can_read() -> None:
    """The record that goes to chat-events has the seal alone."""
    assert KEY not in encode_policy(NEXT).decode()
