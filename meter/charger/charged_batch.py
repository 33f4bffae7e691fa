"""The results of one batch of the charger: records to write, and figures for /metrics."""

import time
from collections import Counter

from meter import metrics
from meter.charger.update_parts import encoded_parts
from meter.core.rejection import Rejected
from meter.core.wallet.commands.outcome import Repeated
from meter.kafka.records import Record
from schemas.commands import AnyCommand
from schemas.dead_letters import DeadLetter
from schemas.event_counts import CountComparison, encode_comparison
from schemas.ledger import LedgerUpdate
from schemas.outcomes import CommandOutcome, OutcomeRecord, encode_outcome


class ChargedBatch:
    """The effects of one batch: letters, moved commands, outcomes, count comparisons, ledger updates; its figures."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []
        self.moved: list[Record] = []
        self.comparisons: list[CountComparison] = []
        self.updates: list[Record] = []
        self.outcomes: list[Record] = []
        self._produced_ms: list[int] = []
        self._used_up_ms: list[int] = []
        self._debits = 0
        self._debited_micros: Counter[str] = Counter()

    def add_update(self, update: LedgerUpdate, *, has_used_up: bool) -> None:
        """Add a complete ledger update. `has_used_up` says that it used up the workspace's credit.

        The update is encoded at once, so that only its bytes are in memory until the batch ends.
        """
        self.updates += [Record(update.workspace_id.encode(), part) for part in encoded_parts(update)]
        if update.produced_ms:
            self._produced_ms.append(update.produced_ms)
            if has_used_up:
                self._used_up_ms.append(update.produced_ms)
        for entry in update.entries:
            if entry.kind == "charge":
                self._debits += 1
                self._debited_micros[entry.lot_kind] -= entry.amount_micros

    def add_outcome(self, command: AnyCommand, version: int, outcome: Repeated | Rejected | None) -> None:
        """Add the outcome of the command at `version`. None: the command took effect."""
        refused = outcome if isinstance(outcome, Rejected) else None
        word: CommandOutcome = "refused" if refused else "repeated" if outcome else "done"
        workspace_id = command.data.workspace_id
        record = OutcomeRecord(
            workspace_id=workspace_id,
            source=command.source,
            id=command.id,
            outcome=word,
            code=refused.code if refused else "",
            reason=refused.reason if refused else "",
            version=version,
        )
        self.outcomes.append(Record(workspace_id.encode(), encode_outcome(record)))

    def observe(self) -> None:
        """Report to Prometheus the age of the events by now, and the debits. Called once, at the batch's end."""
        now_ms = time.time() * 1000
        metrics.EVENT_TO_DEBIT.observe(max(0.0, now_ms - each) / 1000 for each in self._produced_ms)
        metrics.EVENT_TO_USED_UP.observe(max(0.0, now_ms - each) / 1000 for each in self._used_up_ms)
        metrics.DEBITS.inc(self._debits)
        for lot_kind, amount_micros in self._debited_micros.items():
            metrics.DEBITED_MICROS.labels(lot_kind).inc(amount_micros)

    def comparison_records(self) -> list[Record]:
        """Return the comparisons by partition of chat-events: those of one are in one partition, in order."""
        return [Record(str(each.origin_partition).encode(), encode_comparison(each)) for each in self.comparisons]
