"""Sample data for each notice and for an invoice: for previews, and as a starting point of tests."""

from datetime import UTC, datetime
from typing import Any, Final

from meter.core.invoices import invoice
from meter.notify.sender import Sender, seller_of
from schemas.invoices import Invoice, Numbering, PaidOrder, Party
from schemas.notice_fields import Template
from schemas.notice_templates import TEMPLATES
from schemas.notices import Notice, Recipient

DOLLAR: Final = 1_000_000
AT: Final = datetime(2026, 11, 30, 13, 5, tzinfo=UTC)

SENDER: Final = Sender(
    name="Example Meter Inc.",
    address=("1 Example Street", "Springfield, IL 62701", "United States"),
    tax_id="US-EXAMPLE-1",
    email="billing@example.com",
    url="https://meter.example.com",
)

RECIPIENT: Final = Recipient(email="mia@example.com", user_id="user-1", name="Mia")

_BOTS: Final = [
    {"bot_name": "Returns helper", "status": "Inactive"},
    {"bot_name": "Opening hours", "status": "Inactive"},
]
_USAGE: Final = [
    {"bot_name": "Returns helper", "free_used_micros": 312_400_000, "status": "Inactive"},
    {"bot_name": "Opening hours", "free_used_micros": 87_600_000, "status": "Sufficient funds"},
    {"bot_name": "Book finder", "free_used_micros": 100 * DOLLAR, "status": "Low Balance"},
]
_BANK: Final = ["Example Meter Inc.", "First Example Bank", "Account 0000 1234 5678", "Routing number 000000000"]

_VALUES: Final[dict[str, Any]] = {
    "bot_name": "Returns helper",
    "verification_token": "6Zk1sample",
    "invitation_token": "8Qp2sample",
    "invited_by": "Noah Fischer",
    "role": "collaborator",
    "requested_by": "Noah Fischer",
    "decided_by": "Ines Costa",
    "channels": ["Web chat", "WhatsApp"],
    "reason": "The welcome message still has a placeholder in it.",
    "message": "We expect about 40,000 sessions a month from March on.\nCould we talk about prices?",
    "previous_balance_micros": 42_400_000,
    "order_amount_micros": 1_250 * DOLLAR,
    "purchased_at": "2026-11-30T13:05:00.000Z",
    "current_balance_micros": 1_292_400_000,
    "auto_reload_status": "Activated",
    "auto_reload_amount_micros": 200 * DOLLAR,
    "minimum_credit_micros": 75 * DOLLAR,
    "invoice_number": "EM-000042",
    "issued_at": "2026-11-30T13:05:00.000Z",
    "plan": "Standard",
    "plan_price_micros": 1_250 * DOLLAR,
    "total_micros": 1_250 * DOLLAR,
    "order_id": "o-1001",
    "bank_lines": _BANK,
    "payment_method": "Visa ··4242",
    "balance_micros": 49_800_000,
    "limit_micros": 50 * DOLLAR,
    "measure": "balance",
    "threshold_micros": 100 * DOLLAR,
    "value_micros": 99_800_000,
    "free_micros": 120 * DOLLAR,
    "bots": _BOTS,
    "bot_count": 2,
    "remaining_micros": 212_600_000,
    "expires_at": "2026-12-07T13:05:00.000Z",
    "lapsed_micros": 212_600_000,
    "expired_at": "2026-11-30T13:05:00.000Z",
    "old_plan": "Standard",
    "new_plan": "Enterprise",
    "switched_at": "2026-11-30T13:05:00.000Z",
    "decision": "accepted",
    "session_price_micros": 150_000,
    "contract_id": "C-2026-118",
    "charge_attempted_at": "2026-11-30T13:05:00.000Z",
    "invoiced_micros": 200 * DOLLAR,
    "expires_month": "2026-12",
    "cancelled_at": "2026-11-30T13:05:00.000Z",
    "period": "month",
    "activated_at": "2026-11-30T13:05:00.000Z",
    "renews_at": "2026-12-30T13:05:00.000Z",
    "refund_micros": 80 * DOLLAR,
    "unit_id": "9f1c2ab07d5e4c31",
    "amount_micros": 200_000,
}

_SUPPORT: Final = {"plan": "Enhanced Support", "plan_price_micros": 1_000 * DOLLAR, "total_micros": 1_000 * DOLLAR}

_OWN: Final[dict[str, dict[str, Any]]] = {
    "auto-reload": {"order_amount_micros": 200 * DOLLAR, "current_balance_micros": 242_400_000},
    "auto-reload-disabled": {"auto_reload_status": "Not Activated"},
    "auto-reload-failed-card": {"plan_price_micros": 200 * DOLLAR},
    "auto-reload-failed-paypal": {"payment_method": "PayPal mia@example.com"},
    "free-exhausted-workspace": {"bots": _USAGE, "bot_count": 3},
    "paid-below-zero-free-left": {"balance_micros": -1_200_000},
    "plan-switched-bots": {"bots": [each | {"status": "Sufficient funds"} for each in _BOTS]},
    "subscription-cancelled": _SUPPORT,
    "support-purchase": _SUPPORT,
    "support-invoice": _SUPPORT,
    "support-renewal": _SUPPORT,
    "support-renewal-failed": _SUPPORT,
    "threshold-recovered": {"value_micros": 1_349_800_000},
    "unit-voided": {"reason": "The end user's connection broke off before the bot could answer."},
}
"""Values that differ from `_VALUES`, by template."""


def sample(name: str) -> Notice:
    """Return a sample of a template: about a bot if it can be. Raises KeyError if there is no template of that name."""
    template = TEMPLATES[name]
    bot_id = "returns" if template.about in ("bot", "scope") else None
    return Notice(
        notice_id=f"sample-{name}",
        template=name,
        workspace_id="corner-books",
        workspace_name="Corner Books",
        bot_id=bot_id,
        to=(RECIPIENT,),
        fields=_fields(template, bot_id),
        occurred_at=AT,
        time_zone="Europe/Berlin",
    )


def _fields(template: Template, bot_id: str | None) -> dict[str, Any]:
    values = _VALUES | _OWN.get(template.name, {})
    return {field.name: values[field.name] for field in template.fields_for(bot_id) if field.applies(values)}


def sample_invoice(sender: Sender = SENDER) -> Invoice:
    """Return a sample invoice of a seller: credit that auto-reload bought for a bot."""
    order = PaidOrder(
        workspace_id="corner-books",
        workspace_name="Corner Books",
        order_id="o-1001",
        bot_id="returns",
        bot_name="Returns helper",
        kind="auto",
        amount_micros=1_250 * DOLLAR,
        method="Visa ··4242",
        plan="Standard",
        paid_at=AT,
        buyer=Party(
            name="Corner Books GmbH", address=("Buchgasse 7", "10115 Berlin", "Germany"), tax_id="DE-EXAMPLE-2"
        ),
        time_zone="Europe/Berlin",
    )
    return invoice(order, seller_of(sender), Numbering(prefix="EM-", next_number=42))
