"""How a batch becomes pages."""

from aiokafka import ConsumerRecord

from meter.charger.charger import PAGE_INPUTS, Charger
from meter.core.policy import Policy
from schemas.ledger import Page, decode_page
from schemas.topics import LEDGER
from tests.bench_wallet.records import conversation, stored
from tests.packed_records import listed


def pages_of(records: list[ConsumerRecord]) -> list[Page]:
    """What a wallet partition that knew nothing writes of one batch."""
    charger = Charger(Policy(), 0)
    outputs = [output for output in charger.take(records) if output.topic is LEDGER]
    return [decode_page(record.value or b"") for output in outputs for record in listed(output.records)]


def test_a_page_is_bounded_however_long_the_batch() -> None:
    """No page comes from more than PAGE_INPUTS inputs, and together they hold each conversation once, in order."""
    batch = [stored(conversation("w", number), number) for number in range(2 * PAGE_INPUTS + 1)]
    pages = pages_of(batch)
    assert [len(page.conversations) for page in pages] == [PAGE_INPUTS, PAGE_INPUTS, 1]
    assert [page.version for page in pages] == [PAGE_INPUTS - 1, 2 * PAGE_INPUTS - 1, 2 * PAGE_INPUTS]
    sequence = [entry.seq for page in pages for entry in page.entries]
    assert sequence == list(range(1, len(sequence) + 1))


def test_a_workspace_has_one_page_of_a_batch() -> None:
    """What many workspaces did in a long batch is one page each, however their inputs lie among each other's."""
    batch = [stored(conversation(f"w-{number % 7}", number), number) for number in range(7 * PAGE_INPUTS - 7)]
    pages = pages_of(batch)
    assert sorted(page.workspace_id for page in pages) == [f"w-{number}" for number in range(7)]
    assert all(page.version == len(batch) - 1 for page in pages)
