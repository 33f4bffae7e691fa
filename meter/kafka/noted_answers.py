"""Noting when a broker answers a client, for `/metrics`."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from schemas.broker_answers import ANSWERS

Answer = TypeVar("Answer")


def note_answers(client: Any) -> None:
    """Note each answer to a client of aiokafka. Called before the client starts."""
    # All its requests go through these two.
    client.send, client._metadata_update = _noting(client.send), _noting(client._metadata_update)


def _noting(request: Callable[..., Awaitable[Answer]]) -> Callable[..., Awaitable[Answer]]:
    """Note each answer of a broker. A request for metadata that no broker answers returns False."""

    async def noting(*args: Any, **kwargs: Any) -> Answer:
        answer = await request(*args, **kwargs)
        if answer is not False:
            ANSWERS.note()
        return answer

    return noting
