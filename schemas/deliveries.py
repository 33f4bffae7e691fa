"""Records of the topic `deliveries`: receipts of mails and webhooks, and the header that asks for a notice again.

A delivery is one notice by one channel to one recipient (docs/adr/0037). All receipts of a notice have its id as their
key, so they lie in one partition in the order in which they were written.
"""

from typing import Annotated, Final, Literal

import msgspec

from schemas import formats
from schemas.events import Instant, Name
from schemas.forms import Form
from schemas.headers import Headers
from schemas.ids import digest

Channel = Literal["mail", "webhook"]
Status = Literal["begun", "waiting", "sent", "failed", "stale"]
"""begun: an attempt is about to be made; waiting: the attempt failed, and there will be another; sent: the other side
has taken it; failed: it will not be tried again; stale: it was not tried, because the notice was written too long after
its event."""

FINAL: Final[frozenset[Status]] = frozenset(("sent", "failed", "stale"))

MAX_REASON_CHARACTERS: Final = 500
MAX_TARGETS: Final = 2_000
"""The most deliveries that one record asks for again: all recipients of a notice, and all endpoints."""

AGAIN: Final = "deliver-again"
"""Header of a record on notices that asks for deliveries of a notice again: `Again` in JSON."""

NO_RECIPIENT: Final = "-"
"""The recipient in the receipt of a record that is no notice."""

Recipient = Annotated[str, msgspec.Meta(min_length=1, max_length=320)]
"""An e-mail address, or the name of an endpoint."""

Nonce = Annotated[str, msgspec.Meta(max_length=64)]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one delivery so far. Later receipts of the same delivery replace earlier ones.

    `attempts` counts those of the process that writes the receipt. `again` is the nonce of the replay that asked for
    the delivery, or empty. `partition` and `offset` are where the notice lies on notices.
    """

    notice_id: Name
    channel: Channel
    recipient: Recipient
    status: Status
    at: Instant
    partition: Annotated[int, msgspec.Meta(ge=0)]
    offset: Annotated[int, msgspec.Meta(ge=0)]
    reason: Annotated[str, msgspec.Meta(max_length=MAX_REASON_CHARACTERS)] = ""
    attempts: Annotated[int, msgspec.Meta(ge=0)] = 0
    again: Nonce = ""
    template: str = ""
    workspace_id: str = ""
    format: formats.Delivery = formats.DELIVERY_FORMAT

    def key(self) -> bytes:
        """The identity of the delivery. See `delivery_key`."""
        return delivery_key(self.notice_id, self.channel, self.recipient, self.again)


class Target(msgspec.Struct, frozen=True):
    """One delivery of a notice that is asked for again."""

    channel: Channel
    recipient: Recipient


class Again(msgspec.Struct, frozen=True):
    """The wish to deliver a notice again to these targets. `nonce` distinguishes it from every other wish."""

    nonce: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    targets: Annotated[tuple[Target, ...], msgspec.Meta(min_length=1, max_length=MAX_TARGETS)]


encode_delivery = msgspec.json.Encoder().encode
decode_delivery: Form[Delivery] = Form(Delivery)
_decode_again = msgspec.json.Decoder(Again).decode

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError, OverflowError)
"""All errors of decoding a record that another client wrote."""


def delivery_key(notice_id: str, channel: Channel, recipient: str, again: str = "") -> bytes:
    """Return the identity of a delivery in 16 bytes. A delivery that is asked for again is another one."""
    return digest(notice_id, channel, recipient, again)


def read_delivery(value: bytes | None) -> Delivery | None:
    """Decode a receipt; None for a record that is none. Raises NewerFormatError."""
    try:
        return decode_delivery(value or b"")
    except UNREADABLE:
        formats.refuse_newer_json("a receipt on deliveries", value, formats.DELIVERY_FORMAT)
        return None


def again_header(again: Again) -> tuple[str, bytes]:
    """Return the header of a record on notices that asks for deliveries again."""
    return AGAIN, msgspec.json.encode(again)


def again_of(headers: Headers) -> Again | None:
    """Return the wish in the headers of a record on notices; None if there is none. Raises one of UNREADABLE."""
    found = [value for name, value in headers if name == AGAIN]
    return _decode_again(found[-1] or b"") if found else None


def is_wanted(again: Again | None, channel: Channel, recipient: str) -> bool:
    """Tell whether a delivery is asked for: a record without a wish asks for all."""
    return again is None or Target(channel, recipient) in again.targets
