"""The misplaced chat events of a batch. Both engines judge a record here before its partition's state is asked."""

from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.core.sessions.event_kinds import ChatMessage
from meter.core.sessions.timeliness import untimely
from meter.kafka.fetched import Fetched
from meter.kafka.records import Record
from meter.stage.moves import Moves
from schemas.events import ClockTick
from schemas.instants import to_ms
from schemas.policy import PolicyRecord
from schemas.topics import CHAT_EVENTS


class Misplaced:
    """Finds the misplaced events of one partition of chat-events. Ticks and policy records are never misplaced."""

    def __init__(self, policy: Policy, partition: int, partitions: int) -> None:
        self._policy = policy
        self._moves = Moves(CHAT_EVENTS, partition, partitions)

    def judge(self, event: ChatMessage | ClockTick | PolicyRecord, record: Fetched) -> Record | Rejected | None:
        """Return a misplaced event as it is moved, or why it is refused; None if it lies right.

        An event in the future is refused where it lies: its Kafka timestamp there is its arrival. A timestamp that
        travels in a header could be forged.
        """
        if isinstance(event, ClockTick | PolicyRecord) or not self._moves.is_misplaced(event.data.workspace_id):
            return None
        refused = untimely(event, to_ms(event.time), record.timestamp, self._policy)
        if refused is None:
            refused = self._moves.refused(record, event.data.workspace_id)
        return refused or self._moves.moved(record, event.data.workspace_id)
