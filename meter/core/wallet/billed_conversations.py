"""What a wallet remembers of one conversation, and what of one bot's day: the units of account."""

from typing import NamedTuple

import msgspec

from schemas.ledger import ConversationFact, UsageFact
from schemas.metered import ConversationMetered, Kind


class Part(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one lot paid of a unit, and the entry that says so."""

    entry_id: str
    lot_id: str
    amount_micros: int


class Unit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One charged unit: a conversation, or one Enterprise session of it, and the event time it was charged at."""

    unit_id: str
    at_ms: int
    parts: tuple[Part, ...]


class Account(msgspec.Struct, array_like=True, gc=False):
    """A conversation as its wallet knows it. The first fields are those of `ConversationMetered`.

    `messages` and `requests` are what the last close published.
    """

    conversation_id: str
    bot_id: str
    channel: str
    channel_user_id: str
    opened_ms: int
    origin_partition: int
    origin_offset: int = -1
    state: str = "open"
    first_ms: int = 0
    last_ms: int = 0
    billable: bool = False
    sessions: int = 0
    messages: int = 0
    requests: int = 0
    absorbed_into: str = ""
    plan: str = ""
    price_micros: int = 0
    units: tuple[Unit, ...] = ()
    charged_free_micros: int = 0
    charged_paid_micros: int = 0

    @classmethod
    def opened_by(cls, metered: ConversationMetered) -> "Account":
        """An account that knows nothing yet but who the conversation is."""
        return cls(
            metered.conversation_id,
            metered.bot_id,
            metered.channel,
            metered.channel_user_id,
            metered.opened_ms,
            metered.origin_partition,
        )

    def knows(self, metered: ConversationMetered) -> bool:
        """Whether `metered` is no news: a repeat, or older than what is known."""
        return metered.origin_partition == self.origin_partition and metered.origin_offset <= self.origin_offset

    def learn(self, metered: ConversationMetered) -> None:
        """Take over how the conversation stands; counts are published when it closes."""
        self.origin_partition, self.origin_offset = metered.origin_partition, metered.origin_offset
        self.state = metered.state
        self.first_ms, self.last_ms = metered.first_ms, metered.last_ms
        self.billable = metered.requests > 0
        self.sessions = metered.sessions
        self.absorbed_into = metered.absorbed_into or ""
        if metered.state != "open":
            self.messages, self.requests = metered.messages, metered.requests

    @property
    def closed_messages(self) -> int:
        """Its messages, if it is closed now."""
        return self.messages if self.state == "closed" else 0

    def fact(self) -> ConversationFact:
        """The account as the ledger topic tells it."""
        return ConversationFact(
            conversation_id=self.conversation_id,
            bot_id=self.bot_id,
            channel=self.channel,
            channel_user_id=self.channel_user_id,
            state=self.state,
            billable=self.billable,
            first_ms=self.first_ms,
            last_ms=self.last_ms,
            messages=self.messages,
            requests=self.requests,
            sessions=self.sessions,
            plan=self.plan,
            charged_free_micros=self.charged_free_micros,
            charged_paid_micros=self.charged_paid_micros,
            absorbed_into=self.absorbed_into,
            opened_ms=self.opened_ms,
        )


class UsageKey(NamedTuple):
    """One bot on one UTC day (days since 1970)."""

    bot_id: str
    day: int


class Usage(msgspec.Struct, array_like=True, gc=False):
    """The totals of one bot's day. `accounts` counts the remembered conversations in it: it may change while > 0."""

    accounts: int = 0
    conversations: int = 0
    sessions: int = 0
    requests: int = 0
    proactive: int = 0
    alert: int = 0
    agent: int = 0
    developer: int = 0
    total_units: int = 0
    charged_free_micros: int = 0
    charged_paid_micros: int = 0

    def count(self, account: Account, sign: int) -> None:
        """Add (+1) or take out (-1) a conversation, with all its requests, sessions and charges."""
        self.accounts += sign
        if not account.billable:
            return
        self.conversations += sign
        self.sessions += sign * account.sessions
        self.requests += sign * account.requests
        billed = account.sessions if account.plan == "enterprise" else 1
        self.total_units += sign * (account.requests + billed)
        self.charged_free_micros += sign * account.charged_free_micros
        self.charged_paid_micros += sign * account.charged_paid_micros

    def occur(self, kind: Kind) -> None:
        """Count one event that stands for itself; notifications are units, recorded messages are not."""
        match kind:
            case "proactive":
                self.proactive += 1
                self.total_units += 1
            case "alert":
                self.alert += 1
                self.total_units += 1
            case "agent":
                self.agent += 1
            case "developer":
                self.developer += 1

    def fact(self, key: UsageKey) -> UsageFact:
        """The totals as the ledger topic tells them."""
        return UsageFact(
            bot_id=key.bot_id,
            day=key.day,
            conversations=self.conversations,
            sessions=self.sessions,
            requests=self.requests,
            proactive_notifications=self.proactive,
            alert_notifications=self.alert,
            agent_messages=self.agent,
            developer_messages=self.developer,
            total_units=self.total_units,
            charged_free_micros=self.charged_free_micros,
            charged_paid_micros=self.charged_paid_micros,
        )
