"""Every notice that the product sends: when, to whom, with which fields and links."""

from typing import Final

from schemas.notice_fields import (
    ACTIVATED,
    BALANCES,
    BOT_COUNT,
    BOTS,
    CROSSING,
    INVOICE,
    NOT_ACTIVATED,
    PAYMENT_METHOD,
    PERIOD,
    SUPPORT_PLAN,
    SUPPORT_PRICE,
    About,
    Field,
    Link,
    Template,
    To,
    choice,
    instant,
    message,
    micros,
    text,
)

_CONFIRM: Final = Link("Confirm my e-mail address", "/confirm/{verification_token}")
_ACCEPT: Final = Link("Accept the invitation", "/invitations/{invitation_token}")
_USAGE: Final = Link("See plan and usage", "{scope}/usage")
_REVIEW: Final = Link("Review the request", "{scope}/publish")
_PUBLISH: Final = Link("Publish again", "{scope}/publish")
_RECHARGE: Final = Link("Recharge now", "{scope}/add-funds")
_ACTIVATE: Final = Link("Activate auto-reload", "{scope}/auto-reload")
_REACTIVATE: Final = Link("Re-activate auto-reload", "{scope}/auto-reload")
_AUTO_RELOAD: Final = Link("Change auto-reload", "{scope}/auto-reload")
_THRESHOLDS: Final = Link("Change thresholds", "{scope}/thresholds")
_INVOICE: Final = Link("See the invoice", "/workspaces/{workspace_id}/invoices/{invoice_number}")
_ORDER: Final = Link("See the order", "/workspaces/{workspace_id}/orders/{order_id}")
_PANEL: Final = Link("Customer control panel", "/workspaces/{workspace_id}/billing")
_UPDATE: Final = Link("Update the payment method", "/workspaces/{workspace_id}/payment-methods")
_LEDGER: Final = Link("See the ledger", "/workspaces/{workspace_id}/ledger")
_BENEFITS: Final = Link("Explore benefits", "/plans")

_ALL: list[Template] = []


def _add(name: str, about: About, to: To, trigger: str, fields: tuple[Field, ...], *links: Link) -> None:
    _ALL.append(Template(name=name, about=about, to=to, trigger=trigger, fields=fields, links=links))


# Signing up and inviting.
_TOKEN: Final = (text("verification_token"),)
_add("signup-confirm", "person", "person", "A person signs up.", _TOKEN, _CONFIRM)
_add("signup-confirm-again", "person", "person", "A person asks for the confirmation again.", _TOKEN, _CONFIRM)
_INVITED: Final = (
    text("invited_by", "Invited by"),
    choice("role", "Role", "owner", "admin", "collaborator", "shared"),
    text("invitation_token"),
)
_add("invitation", "scope", "invitee", "A person is invited to a workspace or a bot.", _INVITED, _ACCEPT)

# Publishing.
_FIRST: Final = "A bot is published for the first time,"
_ZERO_PAID: Final = "while free credit is left and there is no paid credit."
_PAID: Final = "while there is paid credit."
_add("first-publish-auto-free", "bot", "bot_owner", f"{_FIRST} by auto-approval, {_ZERO_PAID}", (), _USAGE)
_add("first-publish-admin-free", "bot", "bot_owner", f"{_FIRST} approved by an administrator, {_ZERO_PAID}", (), _USAGE)
_add("first-publish-auto-paid", "bot", "bot_owner", f"{_FIRST} by auto-approval, {_PAID}", (), _USAGE)
_add("first-publish-admin-paid", "bot", "bot_owner", f"{_FIRST} approved by an administrator, {_PAID}", (), _USAGE)
_REQUESTED: Final = (text("requested_by", "Requested by"), Field("channels", "texts", "Channels"))
_add(
    "publish-requested",
    "bot",
    "workspace_owners",
    "A request to publish a bot waits for a decision.",
    _REQUESTED,
    _REVIEW,
)
_REFUSED: Final = (text("decided_by", "Decided by"), message("reason", "Reason"))
_add("publish-refused", "bot", "bot_owner", "An administrator refuses to publish a bot.", _REFUSED, _PUBLISH)
_add("published", "bot", "bot_owner", "A bot is published again.", (), _USAGE)

# Buying.
_add("purchase", "scope", "buyer", "A person's order is paid.", BALANCES, _USAGE)
_add("auto-reload", "scope", "owner", "An automatic order is paid.", BALANCES, _USAGE, _AUTO_RELOAD)
_add("order-invoice", "scope", "owner", "An order is confirmed and has its invoice.", INVOICE, _INVOICE, _PANEL)
_WIRE: Final = (
    text("order_id", "Reference"),
    micros("total_micros", "Total to transfer"),
    Field("bank_lines", "texts", "Transfer to"),
)
_add("wire-instructions", "scope", "buyer", "A person places an order by wire transfer.", _WIRE, _ORDER)
_ON: Final = (
    choice("auto_reload_status", "Auto-reload status", ACTIVATED),
    micros("auto_reload_amount_micros", "Auto-reload amount"),
    micros("minimum_credit_micros", "Minimum credit to keep"),
    PAYMENT_METHOD,
)
_add("auto-reload-enabled", "scope", "owner", "Auto-reload is switched on.", _ON, _AUTO_RELOAD)
_OFF: Final = (choice("auto_reload_status", "Auto-reload status", NOT_ACTIVATED),)
_add(
    "auto-reload-disabled",
    "scope",
    "owner",
    "Auto-reload is switched off, by an owner or after three failures in a row.",
    _OFF,
    _REACTIVATE,
)

# Balance and free credit.
_LOW: Final = (micros("balance_micros", "Balance"), micros("limit_micros", "Limit"))
_add(
    "low-balance",
    "scope",
    "owner",
    "The balance reaches the limit, $50 by default, while auto-reload is off or failed.",
    _LOW,
    _ACTIVATE,
    _RECHARGE,
)
_add("threshold-crossed", "scope", "owner", "A threshold of the owner's is reached.", CROSSING, _USAGE, _THRESHOLDS)
_add(
    "threshold-recovered", "scope", "owner", "A threshold of the owner's is left again.", CROSSING, _USAGE, _THRESHOLDS
)
_add("paid-zero-no-free", "scope", "owner", "Paid and free credit are both used up.", (), _RECHARGE)
_BELOW: Final = (micros("balance_micros", "Paid balance"), micros("free_micros", "Free credit left"))
_add(
    "paid-below-zero-free-left",
    "scope",
    "owner",
    "Paid credit is used up, while shared free credit is left.",
    _BELOW,
    _RECHARGE,
)
_add(
    "free-exhausted-bots",
    "workspace",
    "bot_owner",
    "Free credit is used up, and bots of this owner have no paid credit: one notice for all of them.",
    (BOTS, BOT_COUNT),
    _RECHARGE,
)
_add(
    "free-exhausted-workspace",
    "workspace",
    "workspace_owners",
    "Free credit is used up.",
    (Field("bots", "bot_usage"), BOT_COUNT),
    _USAGE,
    _RECHARGE,
)
_EXPIRING: Final = (micros("remaining_micros", "Free credit left"), instant("expires_at", "Expires on"))
_add("free-expiring", "scope", "owner", "Free credit expires in seven days, or in one.", _EXPIRING, _USAGE)
_EXPIRED: Final = (micros("lapsed_micros", "Expired free credit"), instant("expired_at", "Expired on"))
_add("free-expired", "scope", "owner", "Free credit has expired with something left.", _EXPIRED, _RECHARGE)

# Plans.
_SWITCHED: Final = (text("old_plan", "Plan before"), text("new_plan", "Plan now"), instant("switched_at", "Since"))
_add("plan-switched", "workspace", "workspace_owners", "The workspace's plan changes.", _SWITCHED, _BENEFITS)
_add(
    "plan-switched-bots",
    "workspace",
    "bot_owner",
    "The workspace's plan changes: one notice to each owner of bots.",
    (*_SWITCHED, BOTS, BOT_COUNT),
    _BENEFITS,
)
_UPGRADE: Final = (text("requested_by", "Requested by"), message("message", "Message"))
_add("upgrade-requested", "scope", "workspace_owners", "A person requests Enterprise.", _UPGRADE, _BENEFITS)
_ACCEPTED: Final = ("decision", ("accepted",))
_DECIDED: Final = (
    choice("decision", "", "accepted", "refused"),
    micros("session_price_micros", "Price of a session", _ACCEPTED),
    text("contract_id", "Contract", _ACCEPTED),
    message("reason", "Reason", ("decision", ("refused",))),
)
_add("upgrade-decided", "scope", "workspace_owners", "A request for Enterprise is decided.", _DECIDED, _BENEFITS)

# Payments that fail, methods that expire.
_CARD: Final = (text("plan", "Plan"), micros("plan_price_micros", "Price"))
_add(
    "auto-reload-failed-card", "scope", "owner", "A card cannot be charged for auto-reload.", _CARD, _UPDATE, _RECHARGE
)
_PAYPAL: Final = (
    instant("charge_attempted_at", "Charge attempted on"),
    micros("invoiced_micros", "Invoiced amount"),
    PAYMENT_METHOD,
)
_add(
    "auto-reload-failed-paypal",
    "scope",
    "owner",
    "PayPal reports an error at auto-reload.",
    _PAYPAL,
    _UPDATE,
    _RECHARGE,
)
_METHOD: Final = (PAYMENT_METHOD, Field("expires_month", "month", "Expires"))
_add("method-expiring", "workspace", "owner", "A payment method expires in 30 days, or in seven.", _METHOD, _UPDATE)
_add("method-expired", "workspace", "owner", "A payment method has expired.", _METHOD, _UPDATE)
_CANCELLED: Final = (
    text("plan", "Plan"),
    micros("plan_price_micros", "Plan price"),
    instant("cancelled_at", "Cancelled on"),
)
_add("subscription-cancelled", "scope", "owner", "An owner cancels a subscription.", _CANCELLED, _PANEL)

# Support plans.
_SUPPORT: Final = (SUPPORT_PLAN, SUPPORT_PRICE, PERIOD)
_BOUGHT: Final = (*_SUPPORT, instant("activated_at", "Activated on"), instant("renews_at", "Next renewal on"))
_add("support-purchase", "scope", "owner", "A support plan is bought.", _BOUGHT, _PANEL)
_add("support-invoice", "scope", "owner", "A support plan is bought and has its invoice.", INVOICE, _INVOICE, _PANEL)
_RENEWAL: Final = (*_SUPPORT, instant("renews_at", "Renewal date"))
_add("support-renewal", "scope", "owner", "A support plan renews in five days.", _RENEWAL, _UPDATE, _PANEL)
_FAILED: Final = (*_SUPPORT, instant("charge_attempted_at", "Charge attempted on"), PAYMENT_METHOD)
_add("support-renewal-failed", "scope", "owner", "The payment for a renewal fails.", _FAILED, _UPDATE)

# Corrections.
_REFUND: Final = (
    text("order_id", "Order"),
    micros("refund_micros", "Refund"),
    micros("current_balance_micros", "Current balance"),
)
_add("refunded", "scope", "owner", "What is left of an order is paid back.", _REFUND, _ORDER)
_VOID: Final = (text("unit_id", "Unit"), micros("amount_micros", "Credited back"), message("reason", "Reason"))
_add("unit-voided", "bot", "owner", "The charge for a unit is reversed.", _VOID, _LEDGER)

TEMPLATES: Final[dict[str, Template]] = {template.name: template for template in _ALL}
"""The templates by name."""
