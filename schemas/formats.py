"""Format versions: each kind of data that the product writes carries one, and a program refuses what is newer than it.

A program reads every format up to its own number. It must not read a newer one: it would drop the fields that it does
not know, and write the rest back without them. So a number grows with each change that an older program could not read
whole, and a golden file of each format is kept (tests/golden).
"""

from typing import Annotated, Final

import msgspec

STATE_FORMAT: Final = 3
"""Of the state topics: marks with what they hold, and blocks with their entries.

2: terms of plans, lapses, and the units of long conversations are entries of their own. A mark has a leader epoch.
3: orders, payment methods, refunds, and what each scope of paid credit has on its way are entries.
"""

METERED_FORMAT: Final = 1
"""Of what the sessionizer writes to wallet-inputs: metered updates and safe points."""

HELD_FORMAT: Final = 2
"""Of the charger's orders to charge what was held. Above METERED_FORMAT, so that a version without them refuses one."""

LEDGER_FORMAT: Final = 1
"""Of ledger updates."""

ENTITLEMENT_FORMAT: Final = 1
"""Of records of what a bot may do."""

OUTCOME_FORMAT: Final = 1
"""Of the outcomes of account commands."""

DELIVERY_FORMAT: Final = 1
"""Of receipts of mails and webhooks."""

PAYMENT_REQUEST_FORMAT: Final = 1
"""Of requests for payments."""


class NewerFormatError(Exception):
    """A newer version of the product wrote this. The message says what, where, and what to do."""


def refuse_newer(subject: str, found: int, known: int) -> None:
    """Raise NewerFormatError if format `found` is newer than the newest that this program knows."""
    if found > known:
        raise NewerFormatError(
            f"{subject} has format {found}, and this version of the product reads formats up to {known}: "
            "a newer version wrote it, so start that version or a later one"
        )


Metered = Annotated[int, msgspec.Meta(ge=1, le=METERED_FORMAT)]
Held = Annotated[int, msgspec.Meta(ge=HELD_FORMAT, le=HELD_FORMAT)]
Ledger = Annotated[int, msgspec.Meta(ge=1, le=LEDGER_FORMAT)]
Entitlement = Annotated[int, msgspec.Meta(ge=1, le=ENTITLEMENT_FORMAT)]
PaymentRequest = Annotated[int, msgspec.Meta(ge=1, le=PAYMENT_REQUEST_FORMAT)]
Outcome = Annotated[int, msgspec.Meta(ge=1, le=OUTCOME_FORMAT)]
Delivery = Annotated[int, msgspec.Meta(ge=1, le=DELIVERY_FORMAT)]


class _Formatted(msgspec.Struct):
    format: int = 1
    type: str = ""


_decode = msgspec.json.Decoder(_Formatted).decode


def refuse_newer_json(subject: str, value: bytes | None, known: int, types: str = "") -> None:
    """Raise NewerFormatError if a record that could not be read is JSON whose field `format` is newer than `known`.

    Only a record whose `type` begins with `types` can be newer. Called only for records that were rejected, so a record
    that can be read costs nothing more.
    """
    try:
        found = _decode(value or b"")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return
    if found.type.startswith(types):
        refuse_newer(subject, found.format, known)
