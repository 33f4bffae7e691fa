"""Sessionizing one partition of chat-events: events in, conversations as they stand out (DOMAIN, Metering).

The fold is a function of the partition's log alone: what is late is judged by the newest event time before it in the
log, what is in the future by the record's own Kafka timestamp. So a replay decides as the first run did.
"""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

import msgspec

from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.core.sessions.conversations import Conversation, Interaction, InteractionKey, Seen, join
from meter.core.sessions.event_kinds import ChatMessage, class_of, kind_of
from schemas.events import AnyChatEvent, ClockTick
from schemas.ids import event_key
from schemas.instants import HOUR_MS, rfc3339, to_ms
from schemas.metered import Kind


class ConversationTouched(msgspec.Struct, frozen=True):
    """A user or bot message was taken in. `announce`: a wallet has to hear of the conversation before it closes.

    A wallet has to hear of an absorbed one in any case, because an earlier run may have announced it.
    """

    key: InteractionKey
    conversation: Conversation
    absorbed: Conversation | None
    announce: bool


class OccurrenceCounted(msgspec.Struct, frozen=True):
    """An event that stands for itself."""

    key: InteractionKey
    kind: Kind
    unit_id: str
    at_ms: int


class Ticked(msgspec.Struct, frozen=True):
    """Event time moved; nobody spoke. `final`: the feed ends here."""

    final: bool


class Duplicate(msgspec.Struct, frozen=True):
    """The same event again."""


class Conflict(msgspec.Struct, frozen=True):
    """Another event under an id already taken: the first to arrive stands."""


Outcome = ConversationTouched | OccurrenceCounted | Ticked | Duplicate | Conflict | Rejected


class Sessions:
    """The state of one partition: interactions, the ids seen in them, and how far event time has come."""

    def __init__(self, policy: Policy, watermark_ms: int = 0, closed_messages: int = 0) -> None:
        self.policy = policy
        self.watermark_ms = watermark_ms
        self.closed_messages = closed_messages
        """Messages of conversations that are closed, forgotten ones too."""
        self.interactions: dict[InteractionKey, Interaction] = {}
        self.touched: set[InteractionKey] = set()
        """Interactions that changed, or ended, since the last checkpoint; whoever writes it clears this."""
        self._seen: dict[bytes, tuple[InteractionKey, Seen]] = {}
        self._due: list[tuple[int, InteractionKey]] = []

    def restore(self, interactions: dict[InteractionKey, Interaction]) -> None:
        """Put back what a checkpoint held, and derive the rest from it."""
        self.interactions = interactions
        for key, interaction in self.interactions.items():
            for seen in interaction.seen:
                known = self._seen.get(seen.event_key)
                if known is None or known[1].at_ms < seen.at_ms:  # An id that came back after the horizon.
                    self._seen[seen.event_key] = (key, seen)
        self._due = [(interaction.due_ms, key) for key, interaction in self.interactions.items()]
        heapify(self._due)

    def step(self, event: AnyChatEvent, received_ms: int) -> Outcome:
        """Take in one decoded event that Kafka received at `received_ms`."""
        at_ms = to_ms(event.time)
        refused = untimely(event, at_ms, received_ms, self.policy)
        if refused is not None:
            return refused
        if isinstance(event, ClockTick):
            self.watermark_ms = max(self.watermark_ms, at_ms)
            return Ticked(event.final)
        data = event.data
        key = (data.workspace_id, data.bot_id, data.channel, data.channel_user_id)
        seen = Seen(event_key(data.workspace_id, event.source, event.id), at_ms, class_of(event))
        known = self._seen.get(seen.event_key)
        # An id is free again once its event is out of reach, whether or not it has been forgotten yet.
        if known is not None and known[1].at_ms >= self.watermark_ms - self.policy.horizon_ms:
            self.watermark_ms = max(self.watermark_ms, at_ms)  # It tells the time all the same.
            return Duplicate() if known == (key, seen) else Conflict()
        if at_ms < self.watermark_ms - self.policy.horizon_ms:
            return self._late(at_ms)
        return self._accept(key, seen, event)

    def _late(self, at_ms: int) -> Rejected:
        return late(at_ms, self.watermark_ms, self.policy)

    def _accept(self, key: InteractionKey, seen: Seen, event: ChatMessage) -> Outcome:
        interaction = self.interactions.get(key)
        if interaction is None:
            interaction = self.interactions[key] = Interaction([], [], _NEVER)
        interaction.seen.append(seen)
        self._seen[seen.event_key] = (key, seen)
        self.touched.add(key)
        self.watermark_ms = max(self.watermark_ms, seen.at_ms)
        kind = kind_of(event)
        if kind is not None:
            self._schedule(key, interaction, seen.at_ms + self.policy.horizon_ms + 1)
            return OccurrenceCounted(key, kind, seen.event_key.hex(), seen.at_ms)
        return self._join(key, interaction, seen, event.data.actor == "user")

    def _join(self, key: InteractionKey, interaction: Interaction, seen: Seen, by_user: bool) -> ConversationTouched:
        gap_ms = self.policy.gap_ms
        before = {each.conversation_id: _charged_by(each, gap_ms) for each in interaction.conversations}
        self.closed_messages -= interaction.closed_messages
        joined = join(interaction, seen.at_ms, by_user, seen.event_key, gap_ms)
        conversation = joined.conversation
        was_closed = conversation.closed
        conversation.closed = was_closed and conversation.last_ms + gap_ms < self.watermark_ms
        self.closed_messages += interaction.closed_messages
        self._schedule(key, interaction, conversation.last_ms + gap_ms + 1)
        charged_by = _charged_by(conversation, gap_ms)
        changed = joined.absorbed is not None or charged_by != before.get(conversation.conversation_id)
        return ConversationTouched(
            key, conversation, joined.absorbed, announce=was_closed or (conversation.billable and changed)
        )

    def advance(self) -> Iterator[tuple[InteractionKey, Conversation]]:
        """Close what has been silent for longer than the gap and forget what no late event can reach any more.

        Yields the conversations that closed, in the order of the time at which they did.
        """
        while self._due and self._due[0][0] <= self.watermark_ms:
            due_ms, key = heappop(self._due)
            interaction = self.interactions.get(key)
            if interaction is None or interaction.due_ms != due_ms:
                continue  # An older timer of an interaction that has a newer one, or has ended.
            self.touched.add(key)
            for conversation in self._close(interaction):
                yield key, conversation
            self._forget(key, interaction)

    def close_all(self) -> Iterator[tuple[InteractionKey, Conversation]]:
        """Close whatever is open, in order of time: a finite feed has come to its end. A message may open it again."""
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
        """Ids in the order in which they came, as far as they are out of reach: what is late waits for those before it.

        It is free again all the same, and forgetting costs no more than what is forgotten.
        """
        oldest_ms = self.watermark_ms - self.policy.horizon_ms
        forgotten = 0
        for seen in interaction.seen:
            if seen.at_ms >= oldest_ms:
                break
            if self._seen.get(seen.event_key) == (key, seen):
                del self._seen[seen.event_key]
            forgotten += 1
        del interaction.seen[:forgotten]
        reach_ms = oldest_ms - self.policy.gap_ms
        interaction.conversations = [each for each in interaction.conversations if each.last_ms >= reach_ms]
        if not interaction.seen and not interaction.conversations:
            del self.interactions[key]
            return
        interaction.due_ms = _NEVER
        self._schedule(key, interaction, self._next_due_ms(interaction, oldest_ms))

    def _next_due_ms(self, interaction: Interaction, oldest_ms: int) -> int:
        gap_ms, horizon_ms = self.policy.gap_ms, self.policy.horizon_ms
        dues = [each.last_ms + gap_ms + 1 + (horizon_ms if each.closed else 0) for each in interaction.conversations]
        if interaction.seen:
            newest = interaction.seen[-1]  # The first one, should this one be out of reach already.
            dues.append((newest if newest.at_ms >= oldest_ms else interaction.seen[0]).at_ms + horizon_ms + 1)
        return min(dues)

    def _schedule(self, key: InteractionKey, interaction: Interaction, due_ms: int) -> None:
        if due_ms < interaction.due_ms:
            interaction.due_ms = due_ms
            heappush(self._due, (due_ms, key))


_NEVER = 2**62


def untimely(event: AnyChatEvent, at_ms: int, received_ms: int, policy: Policy) -> Rejected | None:
    """Why an event is refused for its own time, whatever came before it; None if it is not."""
    if at_ms > received_ms + policy.future_ms:
        ahead_s = (at_ms - received_ms) / 1000
        return Rejected("future", f"time: {rfc3339(at_ms)} is {ahead_s:.3f} s ahead of its arrival")
    if at_ms < 0 and not isinstance(event, ClockTick):
        return Rejected("too_old", f"time: {rfc3339(at_ms)} is before 1970 and cannot be metered")
    return None


def late(at_ms: int, watermark_ms: int, policy: Policy) -> Rejected:
    """Why an event that is too far behind the newest one is refused."""
    behind_h = (watermark_ms - at_ms) / HOUR_MS
    horizon_h = policy.horizon_ms / HOUR_MS
    return Rejected(
        "late",
        f"time: {rfc3339(at_ms)} is {behind_h:.3f} h behind the newest event; the late horizon is {horizon_h:g} h",
    )


def _charged_by(conversation: Conversation, gap_ms: int) -> tuple[bool, int, int]:
    """What a charge depends on: whether there is one, from when, and for how many sessions."""
    return conversation.billable, conversation.first_ms, conversation.sessions(gap_ms)
