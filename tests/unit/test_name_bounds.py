"""Every text that gets into a key, an entry or a record is limited, and with it each of them."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest

from meter.charger.update_parts import PART_BYTES, encoded_parts
from schemas.commands import decode_command
from schemas.events import decode_event
from schemas.ledger import BalanceFact, ConversationFact, Entry, LedgerUpdate, UsageFact
from schemas.metered import decode_wallet_input
from schemas.policy import PolicyRecord

MOST_CHARACTERS = 512
UNLIMITED = -1


def texts(struct: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, int]]:
    """The texts of a struct, and of the structs in it: path, and the most characters that it accepts."""
    for name, hint in get_type_hints(struct, include_extras=True).items():
        for part in parts(hint):
            if part is str:
                yield prefix + name, UNLIMITED
            elif get_origin(part) is Annotated and get_args(part)[0] is str:
                yield prefix + name, next((meta.max_length or UNLIMITED for meta in get_args(part)[1:]), UNLIMITED)
            elif isinstance(part, type) and issubclass(part, msgspec.Struct):
                yield from texts(part, f"{prefix}{name}.")


def parts(hint: Any) -> Iterator[Any]:
    """The types of which a value may be."""
    if get_origin(hint) in (None, Annotated, Literal):
        yield hint
    else:
        for each in get_args(hint):
            yield from parts(each)


READ: dict[str, type[msgspec.Struct]] = {
    **decode_event.structs,
    **decode_command.structs,
    **decode_wallet_input.structs,
    "meter.policy": PolicyRecord,
}
"""All that is read from topics and goes on, into state, keys and records."""

FIELDS = sorted({(kind, path, most) for kind, struct in READ.items() for path, most in texts(struct)})


def test_the_table_has_the_names_that_were_unlimited_once() -> None:
    """It would notice a field that it does not find."""
    found = {(kind, path) for kind, path, _ in FIELDS}
    for kind, path in [
        ("billing.bot.created", "data.name"),
        ("billing.bot.created", "data.bot_id"),
        ("billing.workspace.created", "data.owner"),
        ("billing.grant.assigned", "data.grant_id"),
        ("billing.credits.purchased", "data.order_id"),
        ("chat.message", "data.channel"),
        ("chat.message", "data.channel_user_id"),
        ("chat.message", "source"),
        ("meter.conversation", "conversation_id"),
        ("meter.conversation", "absorbed_into"),
        ("meter.policy", "seal"),
    ]:
        assert (kind, path) in found


@pytest.mark.parametrize(("kind", "path", "most"), FIELDS)
def test_a_text_is_limited(kind: str, path: str, most: int) -> None:
    """To 512 characters: 2,048 bytes in UTF-8, 3,072 in JSON."""
    assert 0 < most <= MOST_CHARACTERS, f"{path} of {kind} has no limit"


LONG = "\x01" * 512
"""The name that takes the most bytes in JSON: each character takes six."""


def test_a_single_row_is_smaller_than_a_part_of_an_update() -> None:
    """An update is divided until its parts are small, or have one row: so every record of the ledger is small."""
    entry = Entry(
        entry_id=f"{LONG}#{2**62}",
        seq=2**62,
        bot_id=LONG,
        kind="lapse_reversal",
        unit_id=f"{LONG}/131071",
        conversation_id=LONG,
        lot_id=f"grant:{LONG}",
        lot_kind="designated",
        amount_micros=-(2**62),
        occurred_ms=2**62,
        booked_ms=2**62,
        day=2**62,
        reverses=f"{LONG}#{2**62}",
    )
    texts_of = dict.fromkeys(("conversation_id", "bot_id", "channel", "channel_user_id", "absorbed_into"), LONG)
    conversation = ConversationFact(**_largest(ConversationFact), **texts_of, state="absorbed", plan="enterprise")  # type: ignore[arg-type]
    usage = UsageFact(**_largest(UsageFact), bot_id=LONG)
    balance = BalanceFact(**_largest(BalanceFact))
    update = LedgerUpdate(
        workspace_id=LONG,
        partition=2**31,
        version=2**62,
        produced_ms=2**62,
        entries=[entry] * 500,
        conversations=[conversation] * 500,
        usage=[usage] * 500,
        balance=balance,
    )
    assert max(map(len, encoded_parts(update))) <= PART_BYTES
    (alone,) = encoded_parts(msgspec.structs.replace(update, entries=[entry], conversations=[], usage=[]))
    assert len(alone) < 32 * 1024


def _largest(struct: type[msgspec.Struct]) -> dict[str, int | bool]:
    """Its numbers, each as large as it can be."""
    types = get_type_hints(struct)
    return {name: 2**62 if hint is int else False for name, hint in types.items() if hint in (int, bool)}
