"""`python -m tests.integration.dropping worker`: a meter worker whose transport loses fetched batches, as Faust may."""

from collections.abc import AsyncIterator, Iterator
from random import Random
from typing import Any, Final

from meter.cli.main import main
from meter.kafka import transport
from meter.kafka.fetched import Batch

DROPPED: Final = 12
_SHARE: Final = 0.4
_PART: Final = 200


def lose_batches(seed: int) -> None:
    """Have the next `DROPPED` of some batches vanish after they were fetched; small batches, so that there are many."""
    random, lost = Random(seed), 0
    deliver = transport.Consumer.getmany

    async def getmany(self: transport.Consumer, timeout: float) -> AsyncIterator[tuple[Any, Any]]:  # noqa: ASYNC109
        nonlocal lost
        async for tp, message in deliver(self, timeout):
            for part in _parts(message.value):
                if lost < DROPPED and random.random() < _SHARE:
                    lost += 1
                else:
                    yield tp, self._batch_message(tp, part)

    transport.Consumer.getmany = getmany  # type: ignore[method-assign]


def _parts(batch: Batch) -> Iterator[transport._Fetched]:
    base = batch.base
    for at in range(0, len(batch.records), _PART):
        part = batch.records[at : at + _PART]
        last_offset = part[-1].offset if at + _PART < len(batch.records) else batch.last_offset
        yield transport._Fetched(base, transport.FetchRead(part, last_offset))
        base = last_offset + 1


if __name__ == "__main__":
    lose_batches(seed=5)
    main(prog_name="python -m meter")
