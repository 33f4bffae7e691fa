"""Usage: the totals of one bot on one UTC day."""

from typing import NamedTuple

import msgspec

from meter.core.wallet.billed_conversations import BilledConversation
from schemas.ledger import UsageFact
from schemas.metered import Kind


class UsageKey(NamedTuple):
    """One bot on one UTC day (days since 1970)."""

    bot_id: str
    day: int


class Usage(msgspec.Struct, array_like=True, gc=False):
    """The totals of one bot's day.

    `remembered` is the number of conversations in it that the wallet still holds. While it is above 0 the totals may
    change, and the day must not be forgotten.
    """

    remembered: int = 0
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

    def count(self, conversation: BilledConversation, sign: int) -> None:
        """Add (`sign` +1) or subtract (-1) a conversation with its requests, sessions and charges.

        To change a counted conversation, subtract it first and add it again afterwards.
        """
        self.remembered += sign
        if not conversation.billable:
            return
        self.conversations += sign
        self.sessions += sign * conversation.sessions
        self.requests += sign * conversation.requests
        billed = conversation.sessions if conversation.plan == "enterprise" else 1
        self.total_units += sign * (conversation.requests + billed)
        self.charged_free_micros += sign * conversation.charged_free_micros
        self.charged_paid_micros += sign * conversation.charged_paid_micros

    def count_occurrence(self, kind: Kind) -> None:
        """Add one event outside conversations. A notification is a unit; a message of an agent or developer is none."""
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
        """The totals as a fact for a ledger update."""
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
