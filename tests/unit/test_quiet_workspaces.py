"""A workspace without anything live costs little memory."""

import gc
import tracemalloc

from meter.charger.entries import Entries
from meter.core.policy import Policy
from meter.core.wallet.wallets import Wallets
from schemas.instants import DAY_MS
from schemas.metered import SafePoint
from tests.bench_wallet.records import START_MS, conversation

WORKSPACES, EACH = 500, 20
QUIET_BYTES = 2_600


def test_a_workspace_without_anything_live_is_small() -> None:
    """Conversations, days and what was noted of them leave memory; the wallet stays. 1,949 bytes on CPython 3.11."""
    gc.collect()
    tracemalloc.start(1)
    try:
        wallets = Wallets(Policy())
        for number in range(WORKSPACES * EACH):
            wallets.step(conversation(f"workspace-{number % WORKSPACES:06}", number, state="closed"), number)
        point = SafePoint(origin_partition=0, origin_offset=WORKSPACES * EACH, watermark_ms=START_MS + 10 * DAY_MS)
        wallets.step(point, WORKSPACES * EACH)
        wallets.drain_updates(0, WORKSPACES * EACH)
        for _ in Entries().changed(wallets.take_touched()):
            pass
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] / WORKSPACES < QUIET_BYTES
    finally:
        tracemalloc.stop()
    assert not any(book.conversations or book.usage for book in wallets.books.values())
