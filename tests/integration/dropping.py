"""`python -m tests.integration.dropping worker`: a meter worker whose transport loses fetched batches, as Faust may."""

from collections.abc import AsyncIterator
from random import Random
from typing import Any, Final

from meter import transport
from meter.cli import main

DROPPED: Final = 12
_SHARE: Final = 0.4


def lose_batches(seed: int) -> None:
    """Have the next `DROPPED` of some batches vanish after they were fetched; small batches, so that there are many."""
    random, lost = Random(seed), 0
    deliver = transport.Consumer.getmany

    async def getmany(self: transport.Consumer, timeout: float) -> AsyncIterator[tuple[Any, Any]]:  # noqa: ASYNC109
        nonlocal lost
        async for tp, message in deliver(self, timeout):
            if lost < DROPPED and random.random() < _SHARE:
                lost += 1
            else:
                yield tp, message

    transport.Consumer.getmany = getmany  # type: ignore[method-assign]
    transport.BATCH_RECORDS = 200  # type: ignore[misc]


if __name__ == "__main__":
    lose_batches(seed=5)
    main(prog_name="python -m meter")
