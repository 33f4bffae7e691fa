"""The group's place, asked in the consumer's thread: what becomes of it when the worker stops."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from aggregator.writer.intake import Partition
from aggregator.writer.offsets import GroupOffsets
from meter.kafka.group import FaustGroup


def app(*, should_stop: bool) -> Any:
    """An app whose consumer's thread has ended."""

    async def call_thread(*_: object) -> None:
        raise RuntimeError("Event loop is closed")

    thread = SimpleNamespace(call_thread=call_thread, _ensure_consumer=lambda: None)
    return SimpleNamespace(should_stop=should_stop, consumer=SimpleNamespace(_thread=thread))


async def ask_meter(app: Any) -> None:
    await FaustGroup(app).commit(TP("chat-events", 0), 5)


async def ask_aggregator(app: Any) -> None:
    await GroupOffsets(app).start_of(Partition("ledger", 0))


@pytest.mark.parametrize("ask", [ask_meter, ask_aggregator])
async def test_a_stopping_worker_is_no_crash(ask: Any) -> None:
    """SIGTERM ends the consumer's thread before the agents: whoever asks it meanwhile ends quietly, with status 0."""
    with pytest.raises(asyncio.CancelledError):
        await ask(app(should_stop=True))


@pytest.mark.parametrize("ask", [ask_meter, ask_aggregator])
async def test_a_consumer_that_ends_by_itself_is_a_crash(ask: Any) -> None:
    """Nobody stopped the worker: going on without a consumer would be silence."""
    with pytest.raises(RuntimeError):
        await ask(app(should_stop=False))
