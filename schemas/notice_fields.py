"""The parts of a notice template: its fields with their types, its links, and the template itself."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

Kind = Literal["text", "message", "texts", "micros", "instant", "month", "count", "percent", "bots", "bot_usage"]
"""The type of a field: `message` is a long text, `instant` a time, `month` is `YYYY-MM`, the last two list bots."""

About = Literal["bot", "scope", "workspace", "person"]
"""What a notice is about: one bot; one bot, or the workspace's shared credit; the workspace; the person who gets it."""

To = Literal["owner", "bot_owner", "workspace_owners", "buyer", "invitee", "person"]
"""Who gets a notice. `owner` is the bot's owner if the notice is about a bot, else the owners of the workspace."""


class Field(msgspec.Struct, frozen=True):
    """One field. With `when`, a field's name and values, it is there exactly if that field has one of the values.

    `label` is what people read before the value. A field without one is shown in a sentence or a link only.
    `choices` are all values that a text may have.
    """

    name: str
    kind: Kind
    label: str = ""
    when: tuple[str, tuple[str, ...]] | None = None
    choices: tuple[str, ...] = ()

    def applies(self, given: Mapping[str, Any]) -> bool:
        """Whether the field must be there, beside the fields that are given. If not, it must not be there."""
        return self.when is None or given.get(self.when[0]) in self.when[1]

    def condition(self) -> str:
        """The condition in words, such as `measure is balance`; empty for a field that is always there."""
        return f"{self.when[0]} is {' or '.join(self.when[1])}" if self.when else ""


class Link(msgspec.Struct, frozen=True):
    """A link to the product's web pages.

    `path` begins with a slash or with `{scope}`: the path of the bot, or of the workspace if there is none. Other names
    in braces are `workspace_id` and fields of the template.
    """

    label: str
    path: str


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of notice. `trigger` is a sentence. The first link is the main one.

    `fields` are those of the template's own. A notice about a bot has `bot_name` besides: see `fields_for`.
    """

    name: str
    trigger: str
    about: About
    to: To
    fields: tuple[Field, ...] = ()
    links: tuple[Link, ...]

    def fields_for(self, bot_id: str | None) -> tuple[Field, ...]:
        """All fields of a notice, in the order in which people read them. `bot_name` is there if `bot_id` is."""
        return (BOT_NAME, *self.fields) if bot_id is not None else self.fields


BOT_NAME: Final = Field("bot_name", "text", "Bot")

ACTIVATED: Final = "Activated"
NOT_ACTIVATED: Final = "Not Activated"


def micros(name: str, label: str, when: tuple[str, tuple[str, ...]] | None = None) -> Field:
    """An amount in micro-dollars."""
    return Field(name, "micros", label, when)


def instant(name: str, label: str) -> Field:
    """A point in time."""
    return Field(name, "instant", label)


def text(name: str, label: str = "", when: tuple[str, tuple[str, ...]] | None = None) -> Field:
    """A text that a person or another program wrote."""
    return Field(name, "text", label, when)


def message(name: str, label: str, when: tuple[str, tuple[str, ...]] | None = None) -> Field:
    """A text of several sentences that a person wrote."""
    return Field(name, "message", label, when)


def choice(name: str, label: str, *choices: str) -> Field:
    """A text out of a few."""
    return Field(name, "text", label, None, choices)


PAYMENT_METHOD: Final = text("payment_method", "Payment method")
PERIOD: Final = choice("period", "", "month", "year")
SUPPORT_PLAN: Final = choice("plan", "Plan", "Enhanced Support", "Enterprise Support")
SUPPORT_PRICE: Final = micros("plan_price_micros", "Plan price")
BOT_COUNT: Final = Field("bot_count", "count")
BOTS: Final = Field("bots", "bots")

INVOICE: Final = (
    text("invoice_number", "Invoice number"),
    instant("issued_at", "Date"),
    text("plan", "Plan"),
    micros("plan_price_micros", "Plan price"),
    micros("total_micros", "Invoice total"),
)
"""The fields of both notices that bring an invoice."""

_IF_ON: Final = ("auto_reload_status", (ACTIVATED,))

BALANCES: Final = (
    micros("previous_balance_micros", "Previous balance"),
    micros("order_amount_micros", "Order amount"),
    instant("purchased_at", "Purchase date"),
    micros("current_balance_micros", "Current balance"),
    choice("auto_reload_status", "Auto-reload status", ACTIVATED, NOT_ACTIVATED),
    micros("auto_reload_amount_micros", "Auto-reload amount", _IF_ON),
    micros("minimum_credit_micros", "Minimum credit to keep", _IF_ON),
)
"""The fields of a purchase, by a person or by auto-reload."""

_IN_DOLLARS: Final = ("measure", ("balance", "spend_day", "spend_month"))
_IN_PERCENT: Final = ("measure", ("free_left_percent",))

CROSSING: Final = (
    choice("measure", "", "balance", "spend_day", "spend_month", "free_left_percent"),
    micros("threshold_micros", "Threshold", _IN_DOLLARS),
    micros("value_micros", "Now", _IN_DOLLARS),
    Field("threshold_percent", "percent", "Threshold", _IN_PERCENT),
    Field("value_percent", "percent", "Now", _IN_PERCENT),
)
"""The fields of a threshold that was crossed, in either direction."""
