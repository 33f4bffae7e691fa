"""The deliveries of notices, as an operator looks at them: read from the topic `deliveries`."""

from collections import OrderedDict
from collections.abc import AsyncIterable
from typing import Final

from aiokafka import ConsumerRecord

from meter.kafka import reader
from schemas.deliveries import FINAL, Delivery, read_delivery
from schemas.instants import to_ms
from schemas.topics import DELIVERIES

MOST_KEPT: Final = 100_000
"""How many deliveries are kept in memory, about 1 kB each. Of more, those that changed last."""


class Deliveries:
    """The newest receipt of each delivery that fits a selection, in the order in which they changed."""

    def __init__(self, notice_id: str | None = None, since_ms: int = 0, most: int = MOST_KEPT) -> None:
        self._notice_id = notice_id
        self._since_ms = since_ms
        self._most = most
        self._by_key: OrderedDict[bytes, Delivery] = OrderedDict()
        self.dropped = 0
        """How many deliveries were left out because there are more than are kept."""

    def add(self, receipt: Delivery) -> None:
        """Take a receipt into account. Those of one delivery must come in the order in which they were written."""
        if self._notice_id not in (None, receipt.notice_id) or to_ms(receipt.at) < self._since_ms:
            return
        key = receipt.key()
        known = self._by_key.get(key)
        if known is not None and known.status in FINAL:
            return  # A superseded process may write an earlier receipt after the final one.
        self._by_key[key] = receipt
        self._by_key.move_to_end(key)
        if len(self._by_key) > self._most:
            self._by_key.popitem(last=False)
            self.dropped += 1

    def all(self) -> list[Delivery]:
        """Return the deliveries, those that changed last at the end."""
        return sorted(self._by_key.values(), key=lambda each: each.at)


async def load(bootstrap: str, notice_id: str | None = None, since_ms: int = 0) -> Deliveries:
    """Read deliveries to its present end. Raises KafkaConnectionError and NewerFormatError."""
    return await fold(reader.records(bootstrap, DELIVERIES), Deliveries(notice_id, since_ms))


async def fold(records: AsyncIterable[ConsumerRecord], found: Deliveries) -> Deliveries:
    """Add all receipts among the records to `found`, and return it."""
    async for record in records:
        receipt = read_delivery(record.value)
        if receipt is not None:
            found.add(receipt)
    return found
