"""How a batch becomes updates."""

from dataclasses import replace

from aiokafka import ConsumerRecord

from meter.charger.charger import UPDATE_INPUTS, Charger
from meter.core.policy import Policy
from schemas.instants import DAY_MS
from schemas.ledger import LedgerUpdate, decode_ledger_update
from schemas.metered import SafePoint
from schemas.topics import LEDGER
from tests.bench_wallet.records import START_MS, conversation, stored
from tests.packed_records import listed


def updates_of(records: list[ConsumerRecord]) -> list[LedgerUpdate]:
    """What a wallet partition that knew nothing writes of one batch."""
    charger = Charger(Policy(), 0)
    outputs = [output for output in charger.process(records) if output.topic is LEDGER]
    return [decode_ledger_update(record.value or b"") for output in outputs for record in listed(output.records)]


def test_a_ledger_update_is_bounded_however_long_the_batch() -> None:
    """No update comes from more than UPDATE_INPUTS inputs, and together they hold each conversation once, in order."""
    batch = [stored(conversation("w", number), number) for number in range(2 * UPDATE_INPUTS + 1)]
    updates = updates_of(batch)
    assert [len(update.conversations) for update in updates] == [UPDATE_INPUTS, UPDATE_INPUTS, 1]
    assert [update.version for update in updates] == [UPDATE_INPUTS - 1, 2 * UPDATE_INPUTS - 1, 2 * UPDATE_INPUTS]
    sequence = [entry.seq for update in updates for entry in update.entries]
    assert sequence == list(range(1, len(sequence) + 1))


def test_a_workspace_has_one_ledger_update_of_a_batch() -> None:
    """What many workspaces did in a long batch is one update each, however their inputs lie among each other's."""
    batch = [stored(conversation(f"w-{number % 7}", number), number) for number in range(7 * UPDATE_INPUTS - 7)]
    updates = updates_of(batch)
    assert sorted(update.workspace_id for update in updates) == [f"w-{number}" for number in range(7)]
    assert all(update.version == len(batch) - 1 for update in updates)


def test_every_entry_is_booked_when_its_input_arrived() -> None:
    """A charge and the grant that it brings by their metered update; a lapse by the safe point that moves time on."""
    point = SafePoint(origin_partition=0, origin_offset=9, watermark_ms=START_MS + 100 * DAY_MS)
    records = [stored(conversation("w", 0, 5), 0), stored(point, 1)]
    arrivals = [START_MS + 1, START_MS + 101]
    inputs = [replace(record, timestamp=at_ms) for record, at_ms in zip(records, arrivals, strict=True)]
    booked = [(entry.kind, entry.booked_ms) for update in updates_of(inputs) for entry in update.entries]
    assert booked == [("grant", arrivals[0]), ("charge", arrivals[0]), ("lapse", arrivals[1])]
