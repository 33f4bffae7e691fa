"""Is the ledger what the wallets' log gives when it is read once more, entry by entry?"""

from meter.charger.charger import Charger
from meter.core.policy import Policy
from schemas.ledger import Entry, decode_ledger_update
from schemas.topics import LEDGER, WALLET_INPUTS
from tests.packed_records import listed
from tests.simulation.broker import Broker
from tests.simulation.clickhouse import Row, Store

_COLUMNS = ("entry_id", "kind", "unit_id", "lot_id", "amount_micros")


def audit_history(store: Store, broker: Broker, policy: Policy) -> None:
    """Raises AssertionError with the entries that differ. `policy` is the one that the life began with."""
    found = {_key(row): tuple(row[column] for column in _COLUMNS) for row in store.rows("ledger_entries")}
    again = {
        (workspace_id, entry.seq): tuple(getattr(entry, column) for column in _COLUMNS)
        for partition in range(broker.number)
        for workspace_id, entry in _charged_again(broker, policy, partition)
    }
    differ = [(each, found.get(each), again.get(each)) for each in found.keys() | again.keys()]
    wrong = [each for each in differ if each[1] != each[2]]
    assert not wrong, f"{len(wrong)} entries are not those of the log read again: {wrong[:3]}"


def _key(row: Row) -> tuple[str, int]:
    return row["workspace_id"], row["seq"]


def _charged_again(broker: Broker, policy: Policy, partition: int) -> list[tuple[str, Entry]]:
    """Every entry of one pass over a partition of wallet-inputs, as one batch, under its workspace."""
    inputs = broker.records[WALLET_INPUTS.name, partition]
    if not inputs:
        return []
    outputs = [output for output in Charger(policy, partition, broker.number).process(inputs) if output.topic is LEDGER]
    updates = [decode_ledger_update(record.value or b"") for output in outputs for record in listed(output.records)]
    return [(update.workspace_id, entry) for update in updates for entry in update.entries]
