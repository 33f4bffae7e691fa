"""Ledger updates: the records on the ledger topic. One update holds what a batch of inputs changed in one workspace.

An update may be written twice without harm. Entries are immutable and have an id. Conversations, usage rows and the
balance are absolute values, and of two values for one key the one with the higher version counts.
"""

from typing import Literal

import msgspec

from schemas import formats

LotKind = Literal["free", "designated", "shared"]

EntryKind = Literal["grant", "purchase", "charge", "reversal", "lapse", "lapse_reversal", "grant_reversal", "refund"]
"""Kinds of movement on a lot.

grant and purchase credit it, charge debits it, reversal undoes a charge. lapse debits what is left of a free lot when
its term ends, lapse_reversal undoes a lapse. grant_reversal takes back an assumed grant, as far as it is
not spent. refund debits what was paid back of a purchase.
"""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable movement on one lot.

    `amount_micros` is signed: credits > 0, debits < 0. The sum over a workspace's entries is its balance. `seq` numbers
    a workspace's entries from 1 without a gap. `occurred_ms` is the event time of the unit or the command. `booked_ms`
    is when the input that caused the entry arrived at Kafka. `day`, in days since 1970, is the UTC day of the unit's
    conversation at the time of the charge, also for its reversal; without a conversation, the day of `occurred_ms`.
    `reverses` is the id of the entry that this one undoes, or "". Ids that do not apply to the kind are "".
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
    booked_ms: int = 0
    day: int = 0
    reverses: str = ""


class ConversationFact(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as metered and charged so far.

    `requests` and `messages` are 0 until it first closes. `opened_ms` is the time of the message that arrived first and
    never changes; `first_ms` is the earliest message time and can move back. `absorbed_into` is the id of the
    conversation that a bridge joined it to, or "".
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
    """The totals of one bot on one UTC day (`day` is in days since 1970). They are absolute, not increments."""

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
    """The credit that a workspace has left.

    `paid_micros` may be negative: the overdraft is part of it. `lapsed_micros` is what has lapsed so far, in total.
    """

    free_micros: int
    paid_micros: int
    lapsed_micros: int


class ControlTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Counts over all updates of a workspace up to this one. A reader compares them with the rows that it holds.

    `entries` is the newest `seq`. `conversations` counts conversations in any state, `messages` the messages of closed
    ones. `occurrences` counts events outside conversations: notifications, and messages of agents and developers.
    """

    entries: int = 0
    conversations: int = 0
    messages: int = 0
    occurrences: int = 0


class LedgerUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """The changes of one workspace, as of offset `version` of partition `partition` of wallet-inputs.

    Changes that are too large for one record are several updates of one version, one after another. Only the last one
    has a balance: a balance says that all rows up to its version are there.
    """

    workspace_id: str
    partition: int
    version: int
    produced_ms: int
    """The oldest Kafka timestamp, in ms, of the chat events that caused it; 0 if none did. For measuring latency."""
    entries: list[Entry]
    conversations: list[ConversationFact]
    usage: list[UsageFact]
    balance: BalanceFact | None
    totals: ControlTotals = ControlTotals()
    since: int = -1
    """The version of the first input that changed the workspace: its offset of wallet-inputs, in its generation."""
    format: formats.Ledger = formats.LEDGER_FORMAT


encode_ledger_update = msgspec.json.Encoder().encode
decode_ledger_update = msgspec.json.Decoder(LedgerUpdate).decode
"""bytes -> LedgerUpdate. Raises msgspec.MsgspecError, UnicodeDecodeError, RecursionError or ValueError."""
