"""Writing rows to ClickHouse. An insert is repeated until it succeeds: a failure delays rows and loses none."""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential

from aggregator import metrics
from aggregator.clickhouse.client import ClickHouse, is_passing
from aggregator.core.rows import Block, comparison_blocks, ledger_update_blocks, letter_blocks, offset_blocks
from aggregator.writer.findings import Findings

FIRST_WAIT_S: Final = 0.25
"""The wait before the second try of an insert. It doubles with each further try."""

LONGEST_WAIT_S: Final = 15.0

logger = logging.getLogger(__name__)


async def write(clickhouse: ClickHouse, findings: Findings, topic_ids: Mapping[str, str]) -> None:
    """Insert all rows, then what the tables hold. Returns once ClickHouse has them, however long that takes.

    Raises only errors that a repetition cannot solve (`is_passing`): UnusableUpdateError if the rows of an update fit
    no table, any other is a bug.
    """
    # Reconciliation compares all of an update's rows with its balance, and balances and dead letters with comparisons.
    # So the balances come after the other rows of the updates, and the comparisons after them. The offsets come last:
    # what a worker's start compares with the group's must not say more than the tables hold.
    for block in (
        ledger_update_blocks(findings.updates)
        + letter_blocks(findings.letters)
        + comparison_blocks(findings.comparisons)
        + offset_blocks(findings.held(topic_ids))
    ):
        try:
            await _insert(clickhouse, block)
        except Exception as error:
            raise findings.unusable() or error from error
    _count(findings)


async def _insert(clickhouse: ClickHouse, block: Block) -> None:
    def failed(state: RetryCallState) -> None:
        metrics.CLICKHOUSE_UP.set(0)
        metrics.INSERT_FAILURES.labels(block.table).inc()
        error = state.outcome.exception() if state.outcome else None
        logger.error(
            "%d rows for %s wait, next try in %.1f s: %s",
            block.rows,
            block.table,
            state.next_action.sleep if state.next_action else 0,
            str(error).splitlines()[0] if str(error) else repr(error),
        )

    retrying = AsyncRetrying(
        retry=retry_if_exception(is_passing),
        wait=wait_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S),
        before_sleep=failed,
        reraise=True,
    )
    async for attempt in retrying:
        with attempt:
            started_s = time.monotonic()
            # In a thread, because an insert blocks. The event loop must go on, or the consumer group drops this worker.
            await asyncio.to_thread(clickhouse.insert, block)
            metrics.INSERT_SECONDS.labels(block.table).observe(time.monotonic() - started_s)
    metrics.CLICKHOUSE_UP.set(1)
    metrics.INSERT_ROWS.labels(block.table).observe(block.rows)
    metrics.ROWS.labels(block.table).inc(block.rows)


def _count(findings: Findings) -> None:
    now_ms = time.time() * 1000
    for update in findings.updates:
        if update.produced_ms > 0:
            metrics.EVENT_TO_CLICKHOUSE_SECONDS.observe(max(0.0, now_ms - update.produced_ms) / 1000)
    metrics.LEDGER_UPDATES.inc(len(findings.updates))
    for _, letter in findings.letters:
        metrics.DEAD_LETTERS.labels(letter.code).inc()
