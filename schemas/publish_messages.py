"""The messages on screen when a bot is published, or is not: all texts in one file, so that they can be translated.

A text may name {bot}, {balance}, {free}, {paid}, {units} and {unit}; `fill` puts them in.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from schemas.money import dollars

MessageKind = Literal["success", "info", "warning", "error"]

MessageAction = Literal["none", "add_funds", "publish_now", "enable_channel", "ask_admin", "view_orders"]
"""The button under a message. `publish_now` sends the request again; `ask_admin` shows who can decide."""

MessageKey = Literal[
    "waiting_for_approval",
    "published_on_enterprise",
    "no_channel",
    "declined",
    "waiting_for_order",
    "first_zero_balance",
    "payment_processed",
    "payment_processed_published",
    "first_with_free",
    "low_balance",
    "zero_balance",
    "with_own_paid",
    "with_own_free",
    "with_shared_free",
    "with_shared_paid",
    "payment_in_progress",
]


class Message(msgspec.Struct, frozen=True):
    """One message: how it looks, its heading, its text with names in braces, and the action that it offers."""

    kind: MessageKind
    title: str
    text: str
    action: MessageAction = "none"


MESSAGES: Final[Mapping[MessageKey, Message]] = {
    "waiting_for_approval": Message(
        "info", "Waiting for approval", "An administrator of the workspace decides about publishing {bot}.", "ask_admin"
    ),
    "published_on_enterprise": Message("success", "Published", "{bot} is published under the Enterprise plan."),
    "no_channel": Message(
        "error", "No channel yet", "Enable a messaging channel for {bot}, then publish it.", "enable_channel"
    ),
    "declined": Message(
        "error", "Not approved", "An administrator declined to publish {bot}. Ask for the reason.", "ask_admin"
    ),
    "waiting_for_order": Message(
        "info",
        "Waiting for your payment",
        "The request to publish {bot} goes on once the payment for your order has completed.",
        "view_orders",
    ),
    "first_zero_balance": Message(
        "error", "No credit yet", "There is no credit to publish {bot} with. Add funds first.", "add_funds"
    ),
    "payment_processed": Message(
        "success", "Payment received", "The credit is there: {balance}. You can publish {bot} now.", "publish_now"
    ),
    "payment_processed_published": Message(
        "success", "Payment received", "The credit is there: {balance}. {bot} is published."
    ),
    "first_with_free": Message(
        "success",
        "Published",
        "{bot} is published. It uses the workspace's free credit: enough for {units} {unit}.",
        "add_funds",
    ),
    "low_balance": Message(
        "warning",
        "Published, but the balance is low",
        "{bot} is published. Its paid balance is low: {paid}.",
        "add_funds",
    ),
    "zero_balance": Message(
        "error", "No credit left", "Free and paid credit are used up. Add funds to publish {bot}.", "add_funds"
    ),
    "with_own_paid": Message("success", "Published", "{bot} is published. Its paid credit is ready: {paid}."),
    "with_own_free": Message(
        "success", "Published", "{bot} is published. Its own free credit is enough for {units} {unit}."
    ),
    "with_shared_free": Message(
        "info",
        "Published on free credit",
        "{bot} is published on free credit that all bots share: {free} left.",
        "add_funds",
    ),
    "with_shared_paid": Message(
        "success", "Published", "{bot} is published. It uses the workspace's shared paid credit: {paid}."
    ),
    "payment_in_progress": Message(
        "warning",
        "A payment is in progress",
        "An earlier payment has no outcome yet. Wait for it, then add funds or publish {bot}.",
        "view_orders",
    ),
}
"""All messages, by key."""


ATTRIBUTION: Final = Message("info", "Powered by {vendor}", "This assistant runs on free credit.")
"""The line on the web channel of a bot that shows attribution."""


def attribution(vendor: str) -> Message:
    """Return the line of attribution. `vendor` is the name that the platform goes by."""
    return msgspec.structs.replace(ATTRIBUTION, title=ATTRIBUTION.title.format_map({"vendor": vendor}))


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The values that a text may name. Money is in micro-dollars.

    `bot` is the bot's name and may have any characters. `units` is how many more units the credit covers; None, for
    units that cost nothing, is written as `any number of`. `unit` is `conversation` or `session`.
    """

    bot: str
    balance_micros: int
    free_micros: int
    paid_micros: int
    units: int | None
    unit: str


def fill(message: Message, figures: Figures) -> Message:
    """Return the message with its names filled in."""
    names = {
        "bot": figures.bot,
        "balance": dollars(figures.balance_micros),
        "free": dollars(figures.free_micros),
        "paid": dollars(figures.paid_micros),
        "units": "any number of" if figures.units is None else f"{figures.units:,}",
        "unit": figures.unit if figures.units == 1 else f"{figures.unit}s",
    }
    return msgspec.structs.replace(message, text=message.text.format_map(names))
