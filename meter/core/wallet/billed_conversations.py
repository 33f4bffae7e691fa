"""A conversation as its wallet remembers it, with the units that it was charged."""

import msgspec

from schemas.ledger import ConversationFact
from schemas.metered import ConversationMetered


class Part(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The part of a unit that one lot paid, and the id of the ledger entry that records it."""

    entry_id: str
    lot_id: str
    amount_micros: int


class Unit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One charged unit: a conversation on Standard, a session of it on Enterprise.

    `at_ms` is the unit's own event time, which decided which lots could pay. `day` is the conversation's UTC day when
    the unit was charged.
    """

    unit_id: str
    at_ms: int
    parts: tuple[Part, ...]
    day: int = 0


class BilledConversation(msgspec.Struct, array_like=True, gc=False):
    """A conversation with its charges. The fields up to `absorbed_into` come from the newest `ConversationMetered`.

    `messages` and `requests` are those of the last update that was not open, and 0 before. `plan` and `price_micros`
    are the terms of `units`, the price in micro-dollars a unit. `origin_offset` says which update is the newest.
    """

    conversation_id: str
    bot_id: str
    channel: str
    channel_user_id: str
    opened_ms: int
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
        """A conversation with the identity that `metered` names. Its state is set by `update_from`."""
        return cls(
            metered.conversation_id,
            metered.bot_id,
            metered.channel,
            metered.channel_user_id,
            metered.opened_ms,
        )

    def covers(self, metered: ConversationMetered) -> bool:
        """Whether `metered` is a repeat, or older than the newest update."""
        return metered.origin_offset <= self.origin_offset

    def update_from(self, metered: ConversationMetered) -> None:
        """Copy the state of a newer update. The counts of messages are copied only if it is closed or absorbed."""
        self.origin_offset = metered.origin_offset
        self.state = metered.state
        self.first_ms, self.last_ms = metered.first_ms, metered.last_ms
        self.billable = metered.requests > 0
        self.sessions = metered.sessions
        self.absorbed_into = metered.absorbed_into or ""
        if metered.state != "open":
            self.messages, self.requests = metered.messages, metered.requests

    @property
    def closed_messages(self) -> int:
        """The number of its messages if it is closed now, else 0."""
        return self.messages if self.state == "closed" else 0

    def fact(self) -> ConversationFact:
        """The conversation as a fact for a ledger update."""
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
