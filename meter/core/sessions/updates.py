"""The metered updates of one batch: one for each conversation that changed, with its state at the end of the batch.

Updates are in the order of the offset that changed them last. So if only a part of them reaches a partition before a
crash, that part is always the updates up to some offset.
"""

from typing import TypedDict

from meter.core.sessions.conversations import Conversation, InteractionKey
from meter.core.sessions.outcomes import ConversationTouched, OccurrenceCounted
from schemas.metered import ConversationMetered, OccurrenceMetered, State
from schemas.versions import version_of


class _Common(TypedDict):
    """The fields that every metered update has: those of `schemas.metered.Metered`."""

    workspace_id: str
    bot_id: str
    channel: str
    channel_user_id: str
    origin_partition: int
    origin_offset: int
    produced_ms: int


class MeteredUpdates:
    """Collects the metered updates of one batch of the chat events in `partition`.

    `offset` and `produced_ms` are those of the record that caused a change: its offset, and its Kafka timestamp in ms.
    Calls must come in order of offset. `gap_ms` is the length of a session. `generation` is that of the
    topic, which is part of every origin.
    """

    def __init__(self, partition: int, gap_ms: int, generation: int = 0) -> None:
        self._partition = partition
        self._generation = generation
        self._gap_ms = gap_ms
        self._conversations: dict[str, tuple[InteractionKey, Conversation, str, int, int]] = {}
        self._occurrences: list[OccurrenceMetered] = []

    def touched(self, outcome: ConversationTouched, offset: int, produced_ms: int) -> None:
        """Add a conversation that a message changed, and the conversation that it absorbed, if any.

        Nothing is added if the outcome needs no update (`announce`) and the batch has none of this conversation yet.
        """
        kept = outcome.conversation
        if outcome.absorbed is not None:
            self._announce(outcome.key, outcome.absorbed, kept.conversation_id, offset, produced_ms)
        if outcome.announce or kept.conversation_id in self._conversations:
            self._announce(outcome.key, kept, "", offset, produced_ms)

    def closed(self, key: InteractionKey, conversation: Conversation, offset: int, produced_ms: int) -> None:
        """Add a conversation that the record at `offset` closed, because event time passed it or the feed ended."""
        self._announce(key, conversation, "", offset, produced_ms)

    def occurred(self, outcome: OccurrenceCounted, offset: int, produced_ms: int) -> None:
        """Add an event outside conversations, such as a notification."""
        self._occurrences.append(
            OccurrenceMetered(
                **self._common(outcome.key, offset, produced_ms),
                kind=outcome.kind,
                unit_id=outcome.unit_id,
                at_ms=outcome.at_ms,
            )
        )

    def drain(self) -> list[ConversationMetered | OccurrenceMetered]:
        """Return all updates in order of offset. Called once, at the end of the batch."""
        conversations = [self._metered(*each) for each in self._conversations.values()]
        metered: list[ConversationMetered | OccurrenceMetered] = [*conversations, *self._occurrences]
        metered.sort(key=lambda each: each.origin_offset)
        return metered

    def _announce(
        self, key: InteractionKey, conversation: Conversation, absorbed_into: str, offset: int, produced_ms: int
    ) -> None:
        # Removed first, so that the dict is in the order of the last change.
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
        """Return the fields that name the interaction, and the record of the partition that caused the update."""
        workspace_id, bot_id, channel, channel_user_id = key
        return {
            "workspace_id": workspace_id,
            "bot_id": bot_id,
            "channel": channel,
            "channel_user_id": channel_user_id,
            "origin_partition": self._partition,
            "origin_offset": version_of(self._generation, offset),
            "produced_ms": produced_ms,
        }
