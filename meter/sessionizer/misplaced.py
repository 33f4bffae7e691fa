"""The misplaced chat events of a batch. Both engines judge a record here before its partition's state is asked."""

from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.core.sessions import sessionize
from meter.kafka.fetched import Fetched
from meter.kafka.records import Record
from meter.stage.moves import Moves
from schemas.events import AnyChatEvent, ClockTick
from schemas.instants import to_ms
from schemas.topics import CHAT_EVENTS


class Misplaced:
    """Finds the misplaced events of one partition of chat-events. A tick is never misplaced."""

    def __init__(self, policy: Policy, partition: int, partitions: int) -> None:
        self._policy = policy
        self._moves = Moves(CHAT_EVENTS, partition, partitions)

    def judge(self, event: AnyChatEvent, record: Fetched) -> Record | Rejected | None:
        """Return a misplaced event as it is moved, or why it is refused; None if it lies right.

        An event in the future is refused where it lies: its Kafka timestamp there is its arrival. A timestamp that
        travels in a header could be forged.
        """
        if isinstance(event, ClockTick) or not self._moves.is_misplaced(event.data.workspace_id):
            return None
        refused = sessionize.untimely(event, to_ms(event.time), record.timestamp, self._policy)
        if refused is None:
            refused = self._moves.refused(record, event.data.workspace_id)
        return refused or self._moves.moved(record, event.data.workspace_id)
