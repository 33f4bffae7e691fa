"""The looks of a worker, at intervals: differences become metrics and lines in its log.

A look is a part of a round, and a round is one pass over all workspaces (`rounds.py`).
"""

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
"""How long one look compares further workspaces. The next look goes on with the rest."""

GRACE_S: Final = 10.0
"""How long rows may stay incomplete without a change before they are a difference."""

logger = logging.getLogger(__name__)


class Watch:
    """Reconciles in one of several workers: in the one where `is_mine` is true.

    In the others the metrics show no differences and the time 0, so that old figures do not stay.
    """

    def __init__(self, clickhouse: ClickHouse, is_mine: Callable[[], bool]) -> None:
        self._clickhouse = clickhouse
        self._is_mine = is_mine
        self._reconciliation: Reconciliation | None = None
        self._round_began_s = 0.0
        self._logged: set[Difference] = set()
        """The differences of the last look. Each is logged when it is found, and not again while it stays."""

    async def look(self) -> None:
        """Compare for `BUDGET_S` seconds, then set the metrics. Must not be called again before it has returned.

        An error is logged and not raised, because the worker has to go on writing. The metric of the time grows old
        and shows that looks fail.
        """
        if not self._is_mine():
            self._clear()
            return
        if self._reconciliation is None:
            self._begin()
        assert self._reconciliation is not None
        try:
            # In a thread, because a query blocks. An insert of this worker waits for one query at most.
            round_ended = await asyncio.to_thread(self._reconciliation.look, BUDGET_S)
        except Exception as error:
            logger.error("could not reconcile: %s", error, exc_info=not is_passing(error))
            return
        self._publish(self._reconciliation, round_ended)

    def _begin(self) -> None:
        self._reconciliation = Reconciliation(self._clickhouse.query, GRACE_S)
        self._round_began_s = time.time()
        # No round has ended yet. The time of the start lets an alert measure how long the first one takes.
        metrics.RECONCILIATION_TIMESTAMP.set(self._round_began_s)

    def _publish(self, reconciliation: Reconciliation, round_ended: bool) -> None:
        for pair, scopes in reconciliation.scopes_by_pair().items():
            metrics.RECONCILIATION_DIFFERENCE.labels(pair).set(scopes)
        metrics.RECONCILIATION_INCOMPLETE.set(reconciliation.incomplete)
        if round_ended:
            # The time at which the round began: every row that was changed before has been compared.
            metrics.RECONCILIATION_TIMESTAMP.set(self._round_began_s)
            self._round_began_s = time.time()
        found = set(reconciliation.differences)
        for each in found - self._logged:
            logger.error("does not add up: %s", each)
        self._logged = found

    def _clear(self) -> None:
        self._reconciliation = None
        self._logged = set()
        metrics.forget_differences()
        metrics.RECONCILIATION_INCOMPLETE.set(0)
        metrics.RECONCILIATION_TIMESTAMP.set(0)
