"""What the product description asks of each e-mail, by its number there: written down apart from the templates."""

from typing import Final, NamedTuple

BALANCES: Final = (
    "bot_name",
    "previous_balance_micros",
    "order_amount_micros",
    "purchased_at",
    "current_balance_micros",
    "auto_reload_status",
    "auto_reload_amount_micros",
    "minimum_credit_micros",
)
INVOICE: Final = ("invoice_number", "issued_at", "plan", "plan_price_micros", "total_micros")
SUPPORT: Final = ("bot_name", "plan", "plan_price_micros", "period")


class Mail(NamedTuple):
    """One row: the templates that serve it, who gets it, the fields that are asked for, fields of ours, links."""

    number: str
    templates: tuple[str, ...]
    to: str
    fields: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


BOT: Final = ("bot_name",)

MAILS: Final = (
    Mail("Z1", ("signup-confirm",), "person", ("verification_token",), links=("Confirm my e-mail address",)),
    Mail("Z2", ("signup-confirm-again",), "person", ("verification_token",), links=("Confirm my e-mail address",)),
    Mail("Z3", ("first-publish-auto-free",), "bot_owner", added=BOT),
    Mail("Z4", ("first-publish-admin-free",), "bot_owner", added=BOT),
    Mail("Z5", ("first-publish-auto-paid",), "bot_owner", added=BOT),
    Mail("Z6", ("first-publish-admin-paid",), "bot_owner", added=BOT),
    Mail("Z7", ("purchase",), "buyer", BALANCES),
    Mail("Z8", ("auto-reload",), "owner", BALANCES),
    Mail("Z9", ("order-invoice",), "owner", INVOICE, BOT, ("See the invoice", "Customer control panel")),
    Mail(
        "Z10",
        ("auto-reload-enabled",),
        "owner",
        ("bot_name", "auto_reload_status", "auto_reload_amount_micros", "minimum_credit_micros", "payment_method"),
    ),
    Mail(
        "Z11", ("auto-reload-disabled",), "owner", ("bot_name", "auto_reload_status"), (), ("Re-activate auto-reload",)
    ),
    Mail(
        "Z12", ("low-balance",), "owner", (), ("bot_name", "balance_micros", "limit_micros"), ("Activate auto-reload",)
    ),
    Mail("Z13", ("paid-zero-no-free",), "owner", (), BOT, ("Recharge now",)),
    Mail(
        "Z14",
        ("paid-below-zero-free-left",),
        "owner",
        (),
        ("bot_name", "balance_micros", "free_micros"),
        ("Recharge now",),
    ),
    Mail("Z15", ("free-exhausted-bots",), "bot_owner", ("bots",), ("bot_count",), ("Recharge now",)),
    Mail("Z16", ("free-exhausted-workspace",), "workspace_owners", ("bots",), ("bot_count",)),
    Mail("Z17", ("plan-switched",), "workspace_owners", (), ("old_plan", "new_plan", "switched_at")),
    Mail(
        "Z18",
        ("plan-switched-bots",),
        "bot_owner",
        (),
        ("old_plan", "new_plan", "switched_at", "bots", "bot_count"),
        ("Explore benefits",),
    ),
    Mail("Z19", ("auto-reload-failed-card",), "owner", ("plan", "plan_price_micros"), BOT),
    Mail(
        "Z20",
        ("auto-reload-failed-paypal",),
        "owner",
        ("charge_attempted_at", "invoiced_micros", "payment_method"),
        BOT,
    ),
    Mail("Z21", ("method-expiring",), "owner", (), ("payment_method", "expires_month"), ("Update the payment method",)),
    Mail("Z22", ("method-expired",), "owner", (), ("payment_method", "expires_month"), ("Update the payment method",)),
    Mail("Z23", ("subscription-cancelled",), "owner", ("plan", "plan_price_micros", "cancelled_at"), BOT),
    Mail("Z24", ("support-purchase",), "owner", (*SUPPORT, "activated_at", "renews_at")),
    Mail("Z25", ("support-invoice",), "owner", INVOICE, BOT, ("See the invoice", "Customer control panel")),
    Mail("Z26", ("support-renewal",), "owner", (*SUPPORT, "renews_at"), (), ("Update the payment method",)),
    Mail(
        "Z27",
        ("support-renewal-failed",),
        "owner",
        (*SUPPORT, "charge_attempted_at", "payment_method"),
        (),
        ("Update the payment method",),
    ),
    Mail("Z28", ("free-expiring",), "owner", (), ("bot_name", "remaining_micros", "expires_at")),
    Mail("Z28", ("free-expired",), "owner", (), ("bot_name", "lapsed_micros", "expired_at")),
    Mail("Z29", ("wire-instructions",), "buyer", ("bank_lines", "total_micros"), ("bot_name", "order_id")),
    Mail("Z30", ("invitation",), "invitee", (), ("bot_name", "invited_by", "role", "invitation_token")),
    Mail("Z31", ("publish-requested",), "workspace_owners", (), ("bot_name", "requested_by", "channels")),
    Mail("Z31", ("publish-refused",), "bot_owner", (), ("bot_name", "decided_by", "reason")),
    Mail("Z31", ("published",), "bot_owner", (), BOT),
    Mail(
        "Z32",
        ("threshold-crossed", "threshold-recovered"),
        "owner",
        (),
        ("bot_name", "measure", "threshold_micros", "value_micros", "threshold_percent", "value_percent"),
    ),
    Mail("Z32", ("upgrade-requested",), "workspace_owners", (), ("bot_name", "requested_by", "message")),
    Mail(
        "Z32",
        ("upgrade-decided",),
        "workspace_owners",
        (),
        ("bot_name", "decision", "session_price_micros", "contract_id", "reason"),
    ),
    Mail("Z32", ("refunded",), "owner", (), ("bot_name", "order_id", "refund_micros", "current_balance_micros")),
    Mail("Z32", ("unit-voided",), "owner", (), ("bot_name", "unit_id", "amount_micros", "reason")),
)
"""Z28 to Z32 ask for no fields. Z32 is the class of all other notifications; marketing is not sent."""
