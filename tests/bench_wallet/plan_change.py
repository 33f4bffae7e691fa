"""A plan change over very many conversations of one workspace, and how long the inputs of others wait meanwhile."""

import gc
import time
from collections.abc import Iterable
from statistics import quantiles

import msgspec

from meter.charger.charger import Charger
from meter.core.policy import Policy
from meter.kafka.records import Record
from schemas.metered import ConversationMetered
from schemas.topics import WALLET_INPUTS
from tests.oracle.build import CENT_20, NOW, T0, command
from tests.packed_records import listed
from tests.properties.memory_log import stored

OTHERS = 50
"""Conversations of other workspaces in each batch, beside the slice that goes on with the plan change."""

CHECKPOINT = 100
"""Batches between two checkpoints."""


class Partition:
    """One partition of wallet-inputs. `take` processes a batch, and returns what the charger orders for itself."""

    def __init__(self) -> None:
        self.charger = Charger(Policy(), 0)
        self._offset = 0
        self.largest_bytes = 0

    def take(self, values: Iterable[bytes]) -> list[bytes]:
        batch = [stored(WALLET_INPUTS.name, 0, self._next(), Record(b"k", value), NOW) for value in values]
        ordered: list[bytes] = []
        for output in self.charger.process(batch):
            written = [record.value or b"" for record in listed(output.records)]
            self.largest_bytes = max([self.largest_bytes, *map(len, written)])
            ordered += written if output.topic is WALLET_INPUTS else []
        return ordered

    def _next(self) -> int:
        self._offset += 1
        return self._offset


def change_of_plan(conversations: int) -> str:
    """Charge so many conversations of one workspace, change its plan, and say what the rebilling came to."""
    partition = Partition()
    partition.take([command("workspace.created", plan="standard", ws="big", free_grant_micros=0)])
    for first in range(0, conversations, 20_000):
        last = min(conversations, first + 20_000)
        partition.take(conversation("big", number, number) for number in range(first, last))
    list(partition.charger.changed())
    gc.collect()
    gc.freeze()
    price = CENT_20 // 2
    due = partition.take([command("plan.changed", -1, ws="big", plan="enterprise", session_price_micros=price)])
    waits_s: list[float] = []
    while due:
        numbers = range(len(waits_s) * OTHERS, (len(waits_s) + 1) * OTHERS)
        others = [conversation(f"other-{number % 500}", number, 10**9 + number) for number in numbers]
        started_s = time.perf_counter()
        due = partition.take([*due, *others])
        waits_s.append(time.perf_counter() - started_s)
        if len(waits_s) % CHECKPOINT == 0:
            list(partition.charger.changed())
    book = partition.charger._wallets.read("big")
    assert book is not None
    assert book.wallet.charged_micros == conversations * price
    p50_ms, p99_ms = (quantiles(waits_s, n=100)[at] * 1000 for at in (49, 98))
    return (
        f"plan change over {conversations:,} conversations: {len(waits_s):,} slices, other inputs wait p50 "
        f"{p50_ms:.0f} ms, p99 {p99_ms:.0f} ms, at most {max(waits_s) * 1000:.0f} ms; "
        f"largest record {partition.largest_bytes:,} bytes; charged right"
    )


def conversation(workspace: str, number: int, origin_offset: int) -> bytes:
    return msgspec.json.encode(
        ConversationMetered(
            workspace_id=workspace,
            bot_id="b",
            channel="web",
            channel_user_id="u",
            origin_partition=0,
            origin_offset=origin_offset,
            produced_ms=0,
            conversation_id=f"{workspace}-{number}",
            opened_ms=T0 + number,
            state="open",
            first_ms=T0 + number,
            last_ms=T0 + number,
            messages=1,
            requests=1,
            sessions=1,
        )
    )
