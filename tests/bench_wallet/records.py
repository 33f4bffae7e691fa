"""What a wallet partition reads, made beforehand: conversations that open and close, purchases, safe points.

All of it comes from one partition of chat-events, a conversation a visitor, a millisecond apart.
"""

import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

import msgspec
from aiokafka import ConsumerRecord

from schemas.commands import CreditsPurchased, PurchaseData
from schemas.ids import conversation_id, event_key
from schemas.instants import DAY_MS, MINUTE_MS, from_ms
from schemas.metered import ConversationMetered, SafePoint, State, WalletInput
from schemas.topics import WALLET_INPUTS

WORKSPACES: Final = 10_000
BOTS: Final = 3
START_MS: Final = 1_788_000_000_000
SAFE_POINT_EVERY: Final = 20_000
ORDERS: Final = 1_000
OPEN: Final = 5_000
"""Conversations that are open at a time, where they close."""

HOT: Final = "workspace-00000"

_encode: Final = msgspec.json.Encoder().encode


def conversation(
    workspace_id: str, number: int, offset: int | None = None, state: State = "open"
) -> ConversationMetered:
    """Conversation `number` with its first message, or as it closes two minutes and seven messages later."""
    at_ms = START_MS + number
    has_ended = state != "open"
    return ConversationMetered(
        workspace_id=workspace_id,
        bot_id=f"bot-{number % BOTS}",
        channel="web",
        channel_user_id=f"visitor-{number}",
        origin_partition=0,
        origin_offset=number if offset is None else offset,
        produced_ms=int(time.time() * 1000),
        conversation_id=conversation_id(event_key(workspace_id, "/runtime", str(number)), at_ms),
        opened_ms=at_ms,
        state=state,
        first_ms=at_ms,
        last_ms=at_ms + 2 * MINUTE_MS * has_ended,
        messages=1 + 6 * has_ended,
        requests=1 + 3 * has_ended,
        sessions=1,
    )


def many(inputs: int, seed: int) -> Iterator[WalletInput]:
    """The conversations of 10,000 workspaces open, in no order."""
    rng = Random(seed)
    return (conversation(f"workspace-{rng.randrange(WORKSPACES):05}", number) for number in range(inputs))


def hot(inputs: int, seed: int) -> Iterator[WalletInput]:  # noqa: ARG001 - the shape of a load
    """One workspace has all of them."""
    return (conversation(HOT, number) for number in range(inputs))


def orders(inputs: int, seed: int) -> Iterator[WalletInput]:
    """The same, after a thousand purchases, of which each pays 25 conversations."""
    for number in range(ORDERS):
        data = PurchaseData(workspace_id=HOT, order_id=f"o-{number}", amount_micros=5_000_000, method="card")
        yield CreditsPurchased(
            specversion="1.0", id=f"o-{number}", source="/console", time=from_ms(START_MS + number), data=data
        )
    yield from hot(inputs - ORDERS, seed)


def mix(inputs: int, seed: int) -> Iterator[WalletInput]:
    """Those of 10,000 workspaces open and close; now and then a safe point."""
    rng = Random(seed)
    talking: list[tuple[str, int]] = []
    for number in range(inputs):
        if number % SAFE_POINT_EVERY == SAFE_POINT_EVERY - 1:
            yield SafePoint(origin_partition=0, origin_offset=number - 1, watermark_ms=START_MS + number)
        elif len(talking) > OPEN and rng.random() < 0.5:
            at = rng.randrange(len(talking))
            talking[at], talking[-1] = talking[-1], talking[at]
            workspace_id, first = talking.pop()
            yield conversation(workspace_id, first, number, "closed")
        else:
            talking.append((f"workspace-{rng.randrange(WORKSPACES):05}", number))
            yield conversation(talking[-1][0], number)


LOADS: Final[dict[str, Callable[[int, int], Iterator[WalletInput]]]] = {
    "many": many,
    "hot": hot,
    "orders": orders,
    "mix": mix,
}


def stored(given: WalletInput, offset: int, arrived_ms: int = START_MS + DAY_MS) -> ConsumerRecord:
    """An input as a consumer gets it."""
    value = _encode(given)
    return ConsumerRecord(WALLET_INPUTS.name, 0, offset, arrived_ms, 0, b"key", value, None, 3, len(value), ())


def records(load: str, inputs: int, seed: int) -> list[ConsumerRecord]:
    """The first inputs of a load."""
    return [stored(given, offset) for offset, given in enumerate(LOADS[load](inputs, seed))]
