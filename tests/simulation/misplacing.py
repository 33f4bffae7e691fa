"""A client whose keys and partitions are not the product's: some of what it writes lies in another partition."""

from collections.abc import Iterable

from meter.kafka.records import Delivery, Record
from schemas.moves import MOVED_FROM
from schemas.topics import ACCOUNT_COMMANDS, CHAT_EVENTS, WALLET_INPUTS
from tests.simulation.broker import Broker
from tests.simulation.headers import ClientLine

SHARE = 0.4
Location = tuple[str, int, int]
KEYS = (None, b"", b"conversation-7", b"prepaid")


class Misplacing(ClientLine):
    """Puts a share of events and commands into any partition, and another share of the commands on account-commands.

    A record without a key is a tick, and goes where it is sent.
    """

    misplaced = 0

    async def append(self, topic: str, partition: int, records: Iterable[Record]) -> list[Delivery]:
        """As `Topics` has it, for a feeder."""
        deliveries: list[Delivery] = []
        for record in records:
            place, written = (topic, partition), record
            if record.key is not None and topic in (CHAT_EVENTS.name, WALLET_INPUTS.name):
                place, written = self._drawn(topic, partition, record)
            deliveries += await super().append(*place, [written])
        return deliveries

    def _drawn(self, topic: str, partition: int, record: Record) -> tuple[tuple[str, int], Record]:
        rng = self._process.rng
        if rng.random() >= SHARE:
            return (topic, partition), record
        self.misplaced += 1
        if topic == WALLET_INPUTS.name and rng.random() < 0.5:
            topic = ACCOUNT_COMMANDS.name
        return (topic, rng.randrange(self._broker.number)), Record(rng.choice(KEYS), record.value)


def repeated_moves(broker: Broker) -> set[Location]:
    """Where the records lie that a crash or a zombie has moved once more.

    One that is refused has a letter for each copy; the first counts.
    """
    first: set[tuple[str, bytes]] = set()
    repeated: set[Location] = set()
    for (topic, partition), records in broker.records.items():
        for record in records:
            origin = topic, dict(record.headers).get(MOVED_FROM) or b""
            if origin[1] and origin in first:
                repeated.add((topic, partition, record.offset))
            first.add(origin)
    return repeated
