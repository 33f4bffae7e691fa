"""What a wallet writes on the ledger topic: updates. One update holds all that a batch of inputs did to one workspace.

Everything on an update is a fact that may be written twice: entries are immutable and have an id; conversations, usage
rows and the balance are absolute and carry the update's version, the wallet-inputs offset that they were built from.
"""

from typing import Literal

import msgspec

LotKind = Literal["free", "designated", "shared"]

EntryKind = Literal["grant", "purchase", "charge", "reversal", "lapse", "lapse_reversal"]
"""grant and purchase credit a lot, charge debits it, reversal undoes a charge; lapse takes what expiry leaves over."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable movement on one lot. `amount_micros` is signed: credits > 0, debits < 0; their sum is the balance.

    `seq` counts a workspace's entries from 1 without a gap. `occurred_ms` is the unit's or the command's own time.
    `reverses` names the entry undone.
    """

    entry_id: str
    seq: int
    bot_id: str
    kind: EntryKind
    unit_id: str
    conversation_id: str
    lot_id: str
    lot_kind: LotKind
    amount_micros: int
    occurred_ms: int
    reverses: str = ""


class ConversationFact(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as metered and charged so far. `requests` and `messages` are 0 until it first closes.

    `opened_ms` is the time of the message that arrived first; unlike `first_ms` it never changes.
    """

    conversation_id: str
    bot_id: str
    channel: str
    channel_user_id: str
    state: str
    billable: bool
    first_ms: int
    last_ms: int
    messages: int
    requests: int
    sessions: int
    plan: str
    charged_free_micros: int
    charged_paid_micros: int
    absorbed_into: str
    opened_ms: int


class UsageFact(msgspec.Struct, frozen=True, kw_only=True):
    """The totals of one bot on one UTC day (days since 1970), absolute."""

    bot_id: str
    day: int
    conversations: int
    sessions: int
    requests: int
    proactive_notifications: int
    alert_notifications: int
    agent_messages: int
    developer_messages: int
    total_units: int
    charged_free_micros: int
    charged_paid_micros: int


class BalanceFact(msgspec.Struct, frozen=True, kw_only=True):
    """What the workspace has left. `paid_micros` may be negative; `lapsed_micros` is what expiry took in all."""

    free_micros: int
    paid_micros: int
    lapsed_micros: int


class ControlTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What the updates of a workspace hold in all, up to this one: whoever keeps their rows can count them.

    `entries` is the newest `seq`; `conversations` counts them in any state, `messages` are those of closed ones,
    `occurrences` the events that stand for themselves.
    """

    entries: int = 0
    conversations: int = 0
    messages: int = 0
    occurrences: int = 0


class LedgerUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """One workspace's part of a batch. `version` is the highest wallet-inputs offset it was built from."""

    workspace_id: str
    partition: int
    version: int
    produced_ms: int
    """The oldest Kafka timestamp among the chat events behind it, 0 if there is none: for latency."""
    entries: list[Entry]
    conversations: list[ConversationFact]
    usage: list[UsageFact]
    balance: BalanceFact
    totals: ControlTotals = ControlTotals()
    since: int = -1
    """The wallet-inputs offset at which the workspace began."""


encode_ledger_update = msgspec.json.Encoder().encode
decode_ledger_update = msgspec.json.Decoder(LedgerUpdate).decode
