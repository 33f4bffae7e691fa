"""The fold that sessionizes one partition of chat-events: chat events in, changed conversations out (DOMAIN, Metering).

Its result depends on the partition's log alone. Late is measured from the newest event time earlier in the log, the
future from the record's own Kafka timestamp. So reading the log again gives the same decisions as the first run.
"""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

from meter.core.policy import Policy, PolicyInForce
from meter.core.rejection import Rejected
from meter.core.sessions.accepted_ids import SHORT_ID_BYTES, AcceptedId, AcceptedIds, tag_of
from meter.core.sessions.conversations import Conversation, Interaction, InteractionKey, join
from meter.core.sessions.event_kinds import class_of, kind_of
from meter.core.sessions.keys import pack_key
from meter.core.sessions.outcomes import (
    Conflict,
    ConversationTouched,
    Duplicate,
    OccurrenceCounted,
    Outcome,
    PolicyRead,
    Ticked,
)
from meter.core.sessions.timeliness import late, untimely
from schemas.events import AnyChatEvent, ClockTick
from schemas.ids import event_key
from schemas.instants import to_ms
from schemas.policy import PolicyRecord


class Sessions:
    """The state of one partition of chat-events: its interactions, its accepted events and its watermark.

    Call `restore` first, if at all. After each `step`, exhaust `advance`: no conversation may close by batches.
    """

    def __init__(self, policy: Policy, watermark_ms: int = 0, closed_messages: int = 0) -> None:
        self.in_force = PolicyInForce(policy=policy)
        self.watermark_ms = watermark_ms
        self.floor_ms = -_NEVER
        """Events before this time stay late, although the late horizon has become longer since."""
        self.arrived_ms = 0
        """The Kafka timestamp of the record that moved the watermark last; 0 if none has yet."""
        self.closed_messages = closed_messages
        """Messages of all closed conversations since the beginning, forgotten ones included."""
        self.interactions: dict[InteractionKey, Interaction] = {}
        self.touched: set[InteractionKey] = set()
        """Interactions that changed or ended since the last checkpoint, whose writer replaces the set."""
        self.accepted = AcceptedIds()
        self._due: list[tuple[int, InteractionKey]] = []
        """A heap. An interaction's valid timer is the one at its `due_ms`; others are stale."""

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self.in_force.policy

    @property
    def oldest_ms(self) -> int:
        """The earliest time of an event that is not late. It never goes back, also when the horizon becomes longer."""
        return max(self.floor_ms, self.watermark_ms - self.policy.horizon_ms)

    def _read_policy(self, record: PolicyRecord) -> PolicyRead | Rejected:
        """Put a newer policy in force. What the former horizon has given up is not known any more: it stays late."""
        refused = self.in_force.refusal_of(record)
        if refused is not None:
            return refused
        before, self.floor_ms = self.in_force, self.oldest_ms
        self.in_force = before.after(record)
        return PolicyRead(self.in_force is not before)

    def restore(self, interactions: dict[InteractionKey, Interaction], buckets: dict[int, list[AcceptedId]]) -> None:
        """Load the interactions and the accepted ids of a checkpoint, and derive the timers from them."""
        self.interactions = interactions
        self.accepted.restore(buckets)
        self._due = [(interaction.due_ms, key) for key, interaction in self.interactions.items()]
        heapify(self._due)

    def step(self, event: AnyChatEvent, received_ms: int) -> Outcome:
        """Process one decoded event, whose record Kafka received at `received_ms`. A refused event changes nothing."""
        if isinstance(event, PolicyRecord):
            return self._read_policy(event)
        at_ms = to_ms(event.time)
        refused = untimely(event, at_ms, received_ms, self.policy)
        if refused is not None:
            return refused
        if isinstance(event, ClockTick):
            self._reach(at_ms, received_ms)
            return Ticked(event.final)
        data = event.data
        key = (data.workspace_id, data.bot_id, data.channel, data.channel_user_id)
        event_id = event_key(data.workspace_id, event.source, event.id)
        accepted = AcceptedId(event_id[:SHORT_ID_BYTES], at_ms, tag_of(pack_key(key), class_of(event)))
        known = self.accepted.find(accepted.short_id)
        # An id is free again once its event is older than the horizon, even if `forget` has not removed it yet.
        if known is not None and known.at_ms >= self.oldest_ms:
            self._reach(at_ms, received_ms)  # A repeat moves event time too.
            return Duplicate() if known == accepted else Conflict()
        if at_ms < self.oldest_ms:
            return late(at_ms, self.watermark_ms, self.floor_ms, self.policy)
        self.accepted.add(accepted)
        self._reach(at_ms, received_ms)
        kind = kind_of(event)
        if kind is not None:
            return OccurrenceCounted(key, kind, event_id.hex(), at_ms)
        return self._join(key, event_id, at_ms, event.data.actor == "user")

    def _reach(self, at_ms: int, received_ms: int) -> None:
        if at_ms > self.watermark_ms:
            self.watermark_ms, self.arrived_ms = at_ms, received_ms
        self.accepted.forget(self.oldest_ms)

    def _join(self, key: InteractionKey, event_id: bytes, at_ms: int, by_user: bool) -> ConversationTouched:
        interaction = self.interactions.get(key)
        if interaction is None:
            interaction = self.interactions[key] = Interaction([], _NEVER)
        self.touched.add(key)
        gap_ms = self.policy.gap_ms
        before = {each.conversation_id: _charge_basis(each, gap_ms) for each in interaction.conversations}
        self.closed_messages -= interaction.closed_messages
        joined = join(interaction, at_ms, by_user, event_id, gap_ms)
        conversation = joined.conversation
        was_closed = conversation.closed
        conversation.closed = was_closed and conversation.last_ms + gap_ms < self.watermark_ms
        self.closed_messages += interaction.closed_messages
        self._schedule(key, interaction, conversation.last_ms + gap_ms + 1)
        charge_basis = _charge_basis(conversation, gap_ms)
        changed = joined.absorbed is not None or charge_basis != before.get(conversation.conversation_id)
        return ConversationTouched(
            key, conversation, joined.absorbed, announce=was_closed or (conversation.billable and changed)
        )

    def advance(self) -> Iterator[tuple[InteractionKey, Conversation]]:
        """Close conversations that were silent for longer than the gap; forget those that no late event can reach.

        Call it after each `step`. Yields the conversations that closed, in order of their timers.
        """
        while self._due and self._due[0][0] <= self.watermark_ms:
            due_ms, key = heappop(self._due)
            interaction = self.interactions.get(key)
            if interaction is None or interaction.due_ms != due_ms:
                continue  # A stale timer: the interaction has a newer one, or has ended.
            self.touched.add(key)
            for conversation in self._close(interaction):
                yield key, conversation
            self._forget(key, interaction)

    def close_all(self) -> Iterator[tuple[InteractionKey, Conversation]]:
        """Close all open conversations, in order of time. Call it after a final tick. Later messages may reopen one."""
        still_open = [
            (conversation.last_ms, key, conversation)
            for key, interaction in self.interactions.items()
            for conversation in interaction.conversations
            if not conversation.closed
        ]
        for _, key, conversation in sorted(still_open, key=lambda each: each[:2]):
            self._end(conversation)
            self.touched.add(key)
            yield key, conversation

    def _close(self, interaction: Interaction) -> Iterator[Conversation]:
        for conversation in interaction.conversations:
            if not conversation.closed and conversation.last_ms + self.policy.gap_ms < self.watermark_ms:
                self._end(conversation)
                yield conversation

    def _end(self, conversation: Conversation) -> None:
        conversation.closed = True
        self.closed_messages += conversation.messages

    def _forget(self, key: InteractionKey, interaction: Interaction) -> None:
        """Remove the conversations that no late event can reach, and set the next timer."""
        gap_ms, horizon_ms = self.policy.gap_ms, self.policy.horizon_ms
        reach_ms = self.oldest_ms - gap_ms
        interaction.conversations = [each for each in interaction.conversations if each.last_ms >= reach_ms]
        if not interaction.conversations:
            del self.interactions[key]
            return
        interaction.due_ms = _NEVER
        dues = (each.last_ms + gap_ms + 1 + (horizon_ms if each.closed else 0) for each in interaction.conversations)
        self._schedule(key, interaction, min(dues))

    def _schedule(self, key: InteractionKey, interaction: Interaction, due_ms: int) -> None:
        if due_ms < interaction.due_ms:
            interaction.due_ms = due_ms
            heappush(self._due, (due_ms, key))


_NEVER = 2**62


def _charge_basis(conversation: Conversation, gap_ms: int) -> tuple[bool, int, int]:
    """All that a charge depends on: whether there is one, its time and the number of sessions."""
    return conversation.billable, conversation.first_ms, conversation.sessions(gap_ms)
