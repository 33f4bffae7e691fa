"""The invoice of a paid order: a value that follows from the order, the seller and the next number."""

from typing import Final

from schemas.invoices import Invoice, InvoiceLine, Numbering, PaidOrder, Party
from schemas.money import DOLLAR_MICROS

CENT_MICROS: Final = DOLLAR_MICROS // 100
NUMBER_DIGITS: Final = 6
"""A number has at least so many digits: invoices sort by number as texts up to the millionth."""

_PERIODS: Final = {"month": "one month", "year": "one year"}


def invoice(order: PaidOrder, seller: Party, numbering: Numbering) -> Invoice:
    """Return the invoice of `order`, dated at its payment. The caller counts `numbering` on by one for each invoice.

    Prices are as paid: no tax is computed. An amount that is not in whole cents is a bug of the caller, because
    commands refuse such an order.
    """
    assert order.amount_micros > 0, order.order_id
    assert order.amount_micros % CENT_MICROS == 0, order.order_id
    line = InvoiceLine(
        description=_description(order),
        quantity=1,
        price_micros=order.amount_micros,
        amount_micros=order.amount_micros,
    )
    return Invoice(
        invoice_number=f"{numbering.prefix}{numbering.next_number:0{NUMBER_DIGITS}d}",
        workspace_id=order.workspace_id,
        order_id=order.order_id,
        issued_at=order.paid_at,
        time_zone=order.time_zone,
        seller=seller,
        buyer=order.buyer,
        plan=order.plan,
        lines=(line,),
        total_micros=order.amount_micros,
        method=order.method,
    )


def _description(order: PaidOrder) -> str:
    """The line in words: what was bought, and for which bot or workspace."""
    scope = (
        f"the bot {order.bot_name or order.bot_id}"
        if order.bot_id is not None
        else f"the workspace {order.workspace_name or order.workspace_id}"
    )
    if order.kind == "support":
        period = f", {_PERIODS[order.period]}" if order.period is not None else ""
        return f"{order.plan}{period}, for {scope}"
    how = ", by auto-reload" if order.kind == "auto" else ""
    return f"Prepaid credit{how}, for {scope}"
