"""What a batch of chat events has to tell the wallets: each conversation once, as it stands at the end of the batch.

Records leave in the order of the offset that last changed what they tell, so that a part of them which reached the log
before a crash is always all up to some offset.
"""

from typing import TypedDict

from meter.core.sessions.conversations import Conversation, InteractionKey
from meter.core.sessions.sessionize import ConversationTouched, OccurrenceCounted
from schemas.metered import ConversationMetered, OccurrenceMetered, State


class _Common(TypedDict):
    """The fields that every metered record has: those of `schemas.metered.Metered`."""

    workspace_id: str
    bot_id: str
    channel: str
    channel_user_id: str
    origin_partition: int
    origin_offset: int
    produced_ms: int


class MeteredUpdates:
    """Collects what one batch of partition `partition` causes."""

    def __init__(self, partition: int, gap_ms: int) -> None:
        self._partition = partition
        self._gap_ms = gap_ms
        self._conversations: dict[str, tuple[InteractionKey, Conversation, str, int, int]] = {}
        self._occurrences: list[OccurrenceMetered] = []

    def touched(self, outcome: ConversationTouched, offset: int, produced_ms: int) -> None:
        """A message was taken in at `offset`."""
        kept = outcome.conversation
        if outcome.absorbed is not None:
            self._announce(outcome.key, outcome.absorbed, kept.conversation_id, offset, produced_ms)
        if outcome.announce or kept.conversation_id in self._conversations:
            self._announce(outcome.key, kept, "", offset, produced_ms)

    def closed(self, key: InteractionKey, conversation: Conversation, offset: int, produced_ms: int) -> None:
        """A conversation closed when the partition's event time had passed it, at `offset`."""
        self._announce(key, conversation, "", offset, produced_ms)

    def occurred(self, outcome: OccurrenceCounted, offset: int, produced_ms: int) -> None:
        """An event that stands for itself."""
        self._occurrences.append(
            OccurrenceMetered(
                **self._common(outcome.key, offset, produced_ms),
                kind=outcome.kind,
                unit_id=outcome.unit_id,
                at_ms=outcome.at_ms,
            )
        )

    def drain(self) -> list[ConversationMetered | OccurrenceMetered]:
        """All of it, in order of offset."""
        conversations = [self._metered(*each) for each in self._conversations.values()]
        metered: list[ConversationMetered | OccurrenceMetered] = [*conversations, *self._occurrences]
        metered.sort(key=lambda each: each.origin_offset)
        return metered

    def _announce(
        self, key: InteractionKey, conversation: Conversation, absorbed_into: str, offset: int, produced_ms: int
    ) -> None:
        # Taken out first, so that the dict stays in the order of the last change.
        self._conversations.pop(conversation.conversation_id, None)
        self._conversations[conversation.conversation_id] = (key, conversation, absorbed_into, offset, produced_ms)

    def _metered(
        self, key: InteractionKey, conversation: Conversation, absorbed_into: str, offset: int, produced_ms: int
    ) -> ConversationMetered:
        state: State = "absorbed" if absorbed_into else "closed" if conversation.closed else "open"
        return ConversationMetered(
            **self._common(key, offset, produced_ms),
            conversation_id=conversation.conversation_id,
            opened_ms=conversation.opened_ms,
            state=state,
            first_ms=conversation.first_ms,
            last_ms=conversation.last_ms,
            messages=0 if absorbed_into else conversation.messages,
            requests=0 if absorbed_into else conversation.requests,
            sessions=0 if absorbed_into else conversation.sessions(self._gap_ms),
            absorbed_into=absorbed_into or None,
        )

    def _common(self, key: InteractionKey, offset: int, produced_ms: int) -> _Common:
        """Whose conversation or event it is, and which record of the partition caused what is told."""
        workspace_id, bot_id, channel, channel_user_id = key
        return {
            "workspace_id": workspace_id,
            "bot_id": bot_id,
            "channel": channel,
            "channel_user_id": channel_user_id,
            "origin_partition": self._partition,
            "origin_offset": offset,
            "produced_ms": produced_ms,
        }
