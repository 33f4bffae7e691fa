"""Metered updates and safe points: what the sessionizer writes to wallet-inputs.

A metered update gives the current state of a conversation, not a change to it. So a repeat changes nothing, and a later
update replaces an earlier one. Its origin is the partition and the offset of the chat event that caused it. Of two
updates of one conversation the one with the higher offset is newer.
"""

from typing import Annotated, Literal

import msgspec

from schemas import formats
from schemas.commands import AnyCommand
from schemas.event_counts import EventCounts
from schemas.events import Name
from schemas.forms import Form
from schemas.policy import PolicyRecord

State = Literal["open", "closed", "absorbed"]
"""open: may continue; closed: silent for longer than 15 minutes; absorbed: a late message bridged it into another."""

Kind = Literal["proactive", "alert", "agent", "developer"]
"""Two kinds of notification, and two kinds of message that are recorded and not billed."""

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""The integers that a checkpoint can hold.

Any Kafka client can write to wallet-inputs. Without this bound a larger number would stop every worker that reads it.
"""


Count = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
"""A number of messages. No conversation comes near it, and a sum of many stays within 64 bits."""

Sessions = Annotated[int, msgspec.Meta(ge=0, le=2**17)]
"""The sessions of one conversation. This many are 3.7 years without 15 minutes of silence."""

EventTime = Annotated[int, msgspec.Meta(ge=0, lt=2**16 * 86_400_000)]
"""Milliseconds since 1970, before the year 2149: the days that a table can hold."""


class Metered(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """The fields that both metered updates have.

    `origin_offset` is a version (`schemas/versions.py`): it has the generation of chat-events in it.
    `produced_ms` is the Kafka timestamp, in ms, of the chat event that caused the update. Latency is measured from it.
    """

    workspace_id: Name
    bot_id: Name
    channel: Name
    channel_user_id: Name
    origin_partition: Int64
    origin_offset: Int64
    produced_ms: Int64
    format: formats.Metered = formats.METERED_FORMAT


class ConversationMetered(Metered, frozen=True, tag="meter.conversation"):
    """The current state of one conversation. It is billable if `requests` > 0.

    `conversation_id` and `opened_ms` come from the message that arrived first and never change. `messages`, `requests`
    and `sessions` are 0 if the conversation was absorbed.
    """

    conversation_id: Name
    opened_ms: EventTime
    state: State
    first_ms: EventTime
    last_ms: EventTime
    messages: Count
    requests: Count
    sessions: Sessions
    absorbed_into: Name | None = None


class OccurrenceMetered(Metered, frozen=True, tag="meter.occurrence"):
    """One event that belongs to no conversation: a notification, or a message of an agent or a developer."""

    kind: Kind
    unit_id: Name
    at_ms: EventTime


class RebillSlice(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="meter.slice"):
    """An order of the charger to itself: charge the next conversations of a workspace again, after a change of plan.

    The wallets do the slice only if they wait for this number `slice`. So a repeat does nothing.
    """

    workspace_id: Name
    slice: Int64


class HeldSlice(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="meter.held"):
    """An order of the charger to itself: charge the next workspaces of `partition` that were held under a policy.

    The wallets do the slice only if they wait for this number `slice`. So a repeat does nothing.
    """

    partition: Int64
    slice: Int64
    format: formats.Held = formats.HELD_FORMAT


class SafePoint(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="meter.safepoint"):
    """A promise that every metered update of partition `origin_partition` up to `origin_offset` is already in this log.

    The sessionizer writes it after a checkpoint, to the partition of wallet-inputs with its own number, about once a
    minute of event time. A metered update that comes later with an origin at or below `origin_offset` is a repeat. The
    partition's event time has reached `watermark_ms`: it is the clock of its workspaces, which can forget what no event
    within the late horizon can change. `counts` are the partition's event counts up to `origin_offset`.
    """

    origin_partition: Int64
    origin_offset: Int64
    watermark_ms: Int64
    counts: EventCounts = EventCounts()
    partitions: Int64 = 0
    """How many partitions chat-events has; 0 if that is not known."""
    generation: Int64 = 0
    """The generation of chat-events in which the safe point was written."""
    format: formats.Metered = formats.METERED_FORMAT


WalletInput = ConversationMetered | OccurrenceMetered | SafePoint | RebillSlice | HeldSlice | PolicyRecord | AnyCommand

decode_wallet_input: Form[WalletInput] = Form(WalletInput)
"""The form of wallet inputs. See `schemas.events.decode_event`."""
