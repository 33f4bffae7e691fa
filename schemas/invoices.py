"""An invoice as data: what was paid, by whom and to whom. `meter/core/invoices.py` makes it."""

from typing import Annotated, Literal

import msgspec

from schemas.command_base import PositiveAmount
from schemas.events import Instant, Name

OrderKind = Literal["manual", "auto", "support"]
"""Who placed an order: a person, auto-reload, or a support plan's purchase or renewal."""

PartyText = Annotated[str, msgspec.Meta(max_length=512)]


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """The seller or the buyer: name, postal address in lines, tax number if there is one."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
    address: Annotated[tuple[PartyText, ...], msgspec.Meta(max_length=12)] = ()
    tax_id: PartyText = ""
    email: PartyText = ""


class PaidOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order whose payment has arrived. `amount_micros` is in whole cents; `method` is a label such as `Visa ··4242`.

    `bot_id` and `bot_name` are set if the credit or the support plan is for one bot. `plan` is what people read, such
    as `Standard` or `Enhanced Support`; `period` is how long a support plan runs.
    """

    workspace_id: Name
    order_id: Name
    kind: OrderKind
    amount_micros: PositiveAmount
    method: Name
    plan: Name
    paid_at: Instant
    buyer: Party
    workspace_name: PartyText = ""
    bot_id: Name | None = None
    bot_name: PartyText = ""
    period: Literal["month", "year"] | None = None
    time_zone: Name = "UTC"


class Numbering(msgspec.Struct, frozen=True, kw_only=True):
    """The number that a seller's next invoice gets, and the text before it. Numbers of a seller have no gaps."""

    prefix: Annotated[str, msgspec.Meta(max_length=32, pattern=r"^[A-Za-z0-9._-]*\Z")]
    next_number: Annotated[int, msgspec.Meta(ge=1, lt=2**40)]


class InvoiceLine(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was bought, its price and what was paid for it, in micro-dollars."""

    description: str
    quantity: int
    price_micros: PositiveAmount
    amount_micros: PositiveAmount


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice of a paid order. `total_micros` is the sum of its lines, in whole cents."""

    invoice_number: Name
    workspace_id: Name
    order_id: Name
    issued_at: Instant
    time_zone: Name
    seller: Party
    buyer: Party
    plan: Name
    lines: tuple[InvoiceLine, ...]
    total_micros: PositiveAmount
    method: Name


encode_invoice = msgspec.json.Encoder().encode
decode_invoice = msgspec.json.Decoder(Invoice).decode
"""bytes -> Invoice. Raises msgspec.MsgspecError, UnicodeDecodeError, RecursionError or ValueError."""
