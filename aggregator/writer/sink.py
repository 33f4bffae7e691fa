"""Rows into ClickHouse. Losing ClickHouse stalls, and loses nothing: an insert is tried until it is in."""

import asyncio
import logging
import time
from typing import Final

import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential

from aggregator import metrics
from aggregator.clickhouse.client import ClickHouse, is_passing
from aggregator.core.rows import Block, comparison_blocks, ledger_update_blocks, letter_blocks
from aggregator.core.tables import ComparisonKey, LetterLocation
from schemas.dead_letters import DeadLetter
from schemas.event_counts import CountComparison
from schemas.ledger import LedgerUpdate

FIRST_WAIT_S: Final = 0.25
LONGEST_WAIT_S: Final = 15.0

logger = logging.getLogger(__name__)


class Findings(msgspec.Struct):
    """What was read from the topics and waits to be written."""

    updates: list[LedgerUpdate]
    letters: list[tuple[LetterLocation, DeadLetter]]
    comparisons: list[tuple[ComparisonKey, CountComparison]] = []


async def write(clickhouse: ClickHouse, findings: Findings) -> None:
    """Returns once all rows are safely in ClickHouse. Raises only what trying again cannot mend, which is a bug."""
    # What others are compared with comes last: the balances of the updates, then the comparisons.
    for block in (
        ledger_update_blocks(findings.updates)
        + letter_blocks(findings.letters)
        + comparison_blocks(findings.comparisons)
    ):
        await _insert(clickhouse, block)
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
            # Both engines block their thread; the loop goes on answering the group.
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
