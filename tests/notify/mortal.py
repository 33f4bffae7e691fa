"""`python -m meter notify` that kills itself with SIGKILL: `python -m tests.notify.mortal NOTICE_ID MOMENT`.

A moment is `before STATUS` or `after STATUS` of a receipt of that notice. All other notices are done before, so that
only this one is caught in the middle. At any other moment the process lives on.
"""

import asyncio
import os
import signal
import sys

from meter.cli.notify import notify_command
from meter.notify.receipts import Receipts
from schemas.deliveries import FINAL, Delivery

NOTICE_ID, MOMENT = sys.argv[1], sys.argv[2]

_under_way: set[str] = set()
_write = Receipts.write


async def mortal_write(self: Receipts, receipt: Delivery) -> None:
    """Write a receipt, and end at the moment."""
    await _end_at(f"before {receipt.status}", receipt)
    await _write(self, receipt)
    if receipt.status in FINAL:
        _under_way.discard(receipt.notice_id)
    else:
        _under_way.add(receipt.notice_id)
    await _end_at(f"after {receipt.status}", receipt)


async def _end_at(moment: str, receipt: Delivery) -> None:
    if (receipt.notice_id, moment) == (NOTICE_ID, MOMENT):
        while _under_way - {NOTICE_ID}:  # noqa: ASYNC110 # The other notices are sent by tasks of the product.
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    Receipts.write = mortal_write  # type: ignore[method-assign]
    notify_command([])
