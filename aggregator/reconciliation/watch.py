"""The worker's own look, now and then: what differs becomes a metric and a line in its log."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from aggregator import metrics
from aggregator.clickhouse.client import ClickHouse, is_passing
from aggregator.core.reconciliation.differences import Difference
from aggregator.reconciliation.rounds import Reconciliation

BUDGET_S: Final = 5.0
"""How long one look goes on to further workspaces. What it does not come to is the next one's."""

GRACE_S: Final = 10.0

logger = logging.getLogger(__name__)


class Watch:
    """Of several workers one looks: whose turn it is, `is_mine` says. The others show that they know nothing."""

    def __init__(self, clickhouse: ClickHouse, is_mine: Callable[[], bool]) -> None:
        self._clickhouse = clickhouse
        self._is_mine = is_mine
        self._reconciliation: Reconciliation | None = None
        self._round_began_s = 0.0
        self._told: set[Difference] = set()

    async def look(self) -> None:
        """Look as far as the budget goes. A look that fails is no reason to stop writing: its age tells of it."""
        if not self._is_mine():
            self._give_up()
            return
        if self._reconciliation is None:
            self._begin()
        assert self._reconciliation is not None
        try:
            # Both engines block their thread; an insert waits for one query at most.
            ended = await asyncio.to_thread(self._reconciliation.look, BUDGET_S)
        except Exception as error:
            logger.error("could not reconcile: %s", error, exc_info=not is_passing(error))
            return
        self._tell(self._reconciliation, ended)

    def _begin(self) -> None:
        self._reconciliation = Reconciliation(self._clickhouse.query, GRACE_S)
        self._round_began_s = time.time()
        metrics.RECONCILIATION_TIMESTAMP.set(self._round_began_s)

    def _tell(self, reconciliation: Reconciliation, ended: bool) -> None:
        for pair, scopes in reconciliation.scopes_by_pair().items():
            metrics.RECONCILIATION_DIFFERENCE.labels(pair).set(scopes)
        metrics.RECONCILIATION_INCOMPLETE.set(reconciliation.incomplete)
        if ended:
            metrics.RECONCILIATION_TIMESTAMP.set(self._round_began_s)
            self._round_began_s = time.time()
        found = set(reconciliation.differences)
        for each in found - self._told:
            logger.error("does not add up: %s", each)
        self._told = found

    def _give_up(self) -> None:
        self._reconciliation = None
        self._told = set()
        metrics.RECONCILIATION_DIFFERENCE.clear()
        metrics.RECONCILIATION_INCOMPLETE.set(0)
        metrics.RECONCILIATION_TIMESTAMP.set(0)
