"""What a wallet remembers of one conversation, and what of one bot's day: the units of account."""

import msgspec

from schemas.ledger import ConversationFact
from schemas.metered import ConversationMetered


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


class BilledConversation(msgspec.Struct, array_like=True, gc=False):
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
    def opened_by(cls, metered: ConversationMetered) -> "BilledConversation":
        """A conversation that knows nothing yet but who the conversation is."""
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
        """The conversation as the ledger topic tells it."""
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
