"""Bytes of the charger's memory, as Python's allocator counts them."""

import gc
import tracemalloc
from collections.abc import Iterator
from typing import Final

from meter.charger.charger import Charger
from meter.core.policy import Policy
from meter.kafka.home import home_of
from schemas.commands import AnyCommand, CreditsPurchased, PurchaseData, WorkspaceCreated, WorkspaceData
from schemas.instants import DAY_MS, from_ms
from schemas.metered import SafePoint, WalletInput
from tests.bench_wallet.records import START_MS, conversation, stored

BATCH: Final = 5_000


def quiet_bytes(workspaces: int, *, created: bool) -> float:
    """A workspace that has had one conversation, and nothing that is live any more.

    Its first event created it, or else a command, and a purchase followed.
    """
    inputs: list[WalletInput] = [conversation(f"workspace-{n:07}", n, state="closed") for n in range(workspaces)]
    if created:
        inputs = [each for n in range(workspaces) for each in commands(n)] + inputs
    inputs.append(SafePoint(origin_partition=0, origin_offset=workspaces, watermark_ms=START_MS + 10 * DAY_MS))
    return held(inputs) / workspaces


def live_bytes(workspaces: int, conversations: int) -> float:
    """A workspace that has so many closed conversations of one day and of three bots, all still within reach."""
    count = workspaces * conversations
    return held([conversation(f"workspace-{n % workspaces:07}", n, state="closed") for n in range(count)]) / workspaces


def commands(number: int) -> Iterator[AnyCommand]:
    """What creates a workspace, and a purchase."""
    workspace_id, time = f"workspace-{number:07}", from_ms(START_MS - DAY_MS)
    created = WorkspaceData(workspace_id=workspace_id, plan="standard", owner=f"owner-{number}", name=f"Shop {number}")
    bought = PurchaseData(workspace_id=workspace_id, order_id=f"o-{number}", amount_micros=100_000_000, method="card")
    head = {"specversion": "1.0", "source": "/console", "time": time}
    yield WorkspaceCreated(id=f"create-{number}", data=created, **head)  # type: ignore[arg-type]
    yield CreditsPurchased(id=f"buy-{number}", data=bought, **head)  # type: ignore[arg-type]


def held(inputs: list[WalletInput]) -> int:
    """The bytes that a charger holds after these inputs and a checkpoint."""
    home_of.cache_clear()
    gc.collect()
    tracemalloc.start(1)
    try:
        charger = Charger(Policy(), 0)
        for start in range(0, len(inputs), BATCH):
            for _ in charger.process([stored(inputs[at], at) for at in range(start, min(start + BATCH, len(inputs)))]):
                pass
        list(charger.changed())
        home_of.cache_clear()  # Its size is bounded, and it belongs to no partition.
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
