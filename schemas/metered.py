"""What the sessionizer tells a wallet, on wallet-inputs, between the account commands.

Each record says how a conversation stands now, not what changed, so a repeat changes nothing and a later one replaces
an earlier one. Its origin is the partition and offset of chat-events that it was built from: the higher is newer.
"""

from typing import Annotated, Literal

import msgspec

from schemas.commands import AnyCommand
from schemas.event_counts import EventCounts

State = Literal["open", "closed", "absorbed"]
"""open: may go on; closed: 15 minutes of silence have passed; absorbed: a late message bridged it into another."""

Kind = Literal["proactive", "alert", "agent", "developer"]
"""Two kinds of notification, and two of message that are recorded without being billed."""


Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What a checkpoint can hold. Anybody can write to wallet-inputs, and a larger number would end every worker."""


class Metered(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What both have in common. `produced_ms` is the Kafka timestamp of the event that caused it, for latency."""

    workspace_id: str
    bot_id: str
    channel: str
    channel_user_id: str
    origin_partition: Int64
    origin_offset: Int64
    produced_ms: Int64


class ConversationMetered(Metered, frozen=True, tag="meter.conversation"):
    """A conversation as it stands. All counts are 0 when it was absorbed; `requests` > 0 is what makes it billable.

    `conversation_id` and `opened_ms` come from the message that arrived first and never change.
    """

    conversation_id: str
    opened_ms: Int64
    state: State
    first_ms: Int64
    last_ms: Int64
    messages: Int64
    requests: Int64
    sessions: Int64
    absorbed_into: str | None = None


class OccurrenceMetered(Metered, frozen=True, tag="meter.occurrence"):
    """One event that stands for itself."""

    kind: Kind
    unit_id: str
    at_ms: Int64


class SafePoint(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="meter.safepoint"):
    """All that partition `origin_partition` of chat-events caused up to `origin_offset` is in this log already, and its
    event time has reached `watermark_ms`. Written to every partition of wallet-inputs after each checkpoint.

    Whatever arrives later with an offset at or below it is a repeat; what is older than the horizon can be forgotten.
    `counts` are the partition's up to `origin_offset`.
    """

    origin_partition: Int64
    origin_offset: Int64
    watermark_ms: Int64
    counts: EventCounts = EventCounts()


WalletInput = ConversationMetered | OccurrenceMetered | SafePoint | AnyCommand

decode_wallet_input = msgspec.json.Decoder(WalletInput).decode
"""bytes -> WalletInput. Raises what `schemas.events.decode_event` raises."""
