"""An invoice in words: the texts that its HTML and its PDF file have in common."""

from typing import Final, NamedTuple

from meter.notify import wording
from meter.notify.rows import Row
from meter.notify.shown import MESSAGE_CHARACTERS, shown
from schemas.invoices import Invoice, Party

THANKS: Final = "Paid in full. Thank you for your business."


PARTY_CHARACTERS: Final = 520
"""A line of a party is never shortened: the name on an invoice is a legal one."""


class PartyView(NamedTuple):
    """A party: its name, and the lines below it."""

    name: str
    lines: list[str]

    def characters(self) -> int:
        """How many characters all lines have together."""
        return len(self.name) + sum(map(len, self.lines))


class LineView(NamedTuple):
    """One line of the invoice."""

    description: str
    quantity: str
    price: str
    amount: str


class InvoiceView(NamedTuple):
    """All texts of an invoice. Texts from outside are cleaned and in one line each."""

    number: str
    seller: PartyView
    buyer: PartyView
    facts: list[Row]
    lines: list[LineView]
    total: str
    thanks: str = THANKS


def invoice_view(invoice: Invoice) -> InvoiceView:
    """Return the texts of an invoice. The same invoice gives the same texts."""
    return InvoiceView(
        number=shown(invoice.invoice_number),
        seller=_party(invoice.seller),
        buyer=_party(invoice.buyer),
        facts=[
            Row("Invoice number", [shown(invoice.invoice_number)]),
            Row("Date", [wording.day(invoice.issued_at, invoice.time_zone)]),
            Row("Paid on", [wording.moment(invoice.issued_at, invoice.time_zone)]),
            Row("Paid with", [shown(invoice.method)]),
            Row("Order", [shown(invoice.order_id)]),
            Row("Workspace", [shown(invoice.workspace_id)]),
            Row("Plan", [shown(invoice.plan)]),
        ],
        lines=[
            LineView(
                shown(line.description, MESSAGE_CHARACTERS),
                wording.count(line.quantity),
                wording.money(line.price_micros),
                wording.money(line.amount_micros),
            )
            for line in invoice.lines
        ],
        total=wording.money(invoice.total_micros),
    )


def _party(party: Party) -> PartyView:
    lines = [*party.address, party.email, f"Tax number {party.tax_id}" if party.tax_id else ""]
    return PartyView(
        shown(party.name, PARTY_CHARACTERS), [shown(line, PARTY_CHARACTERS) for line in lines if line.strip()]
    )
