"""Ledger updates to columns, without an engine."""

from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.core.rows import Block, ledger_update_blocks, letter_blocks
from aggregator.core.tables import TABLES, LetterLocation
from schemas.dead_letters import DeadLetter
from schemas.ledger import LedgerUpdate
from tests.aggregator.facts import conversation, entry, update, usage

Row = tuple[object, ...]


def view(blocks: list[Block], seen: dict[str, dict[Row, Row]] | None = None) -> dict[str, dict[Row, Row]]:
    """What a table's reader sees after these blocks: of each key the row of the highest version, as the engine does."""
    seen = {} if seen is None else seen
    keys = {table.name: table.key for table in TABLES}
    for block in blocks:
        rows = seen.setdefault(block.table, {})
        key_at = [block.names.index(name) for name in keys[block.table]]
        version_at = block.names.index("version")
        for row in zip(*block.columns, strict=True):
            key = tuple(row[at] for at in key_at)
            if key not in rows or row[version_at] >= rows[key][version_at]:
                rows[key] = row
    return seen


@st.composite
def histories(draw: st.DrawFn) -> list[LedgerUpdate]:
    """A few workspaces, each the update of every version once: what a partition of the ledger holds without repeats."""
    updates = []
    for workspace in range(draw(st.integers(1, 2))):
        for version in range(draw(st.integers(1, 6))):
            touched = draw(st.sets(st.integers(1, 3), max_size=3))
            updates.append(
                update(
                    version,
                    workspace_id=f"workspace-{workspace}",
                    entries=[entry(version + 1)],
                    conversations=[conversation(number, requests=version) for number in sorted(touched)],
                    usage=[usage(day, version) for day in sorted(touched)],
                    free_micros=version,
                )
            )
    return updates


@settings(deadline=None)  # Other processes may hold the machine.
@given(st.data())
def test_any_order_repetition_and_batching_shows_the_same_facts(data: st.DataObject) -> None:
    """Updates may be repeated, reordered and cut into inserts anyhow: what a reader sees is the highest version."""
    history = data.draw(histories())
    repeated = history + data.draw(st.lists(st.sampled_from(history), max_size=6))
    shuffled = data.draw(st.permutations(repeated))
    cut = data.draw(st.integers(0, len(shuffled)))
    once = view(ledger_update_blocks(history))
    assert view(ledger_update_blocks(shuffled)) == once
    assert view(ledger_update_blocks(shuffled[cut:]), view(ledger_update_blocks(shuffled[:cut]))) == once


@settings(deadline=None)
@given(histories())
def test_block_holds_each_key_once(history: list[LedgerUpdate]) -> None:
    """An insert carries no row that another row of it replaces."""
    for block in ledger_update_blocks(history + history):
        key = next(table.key for table in TABLES if table.name == block.table)
        keys = list(zip(*(block.columns[block.names.index(name)] for name in key), strict=True))
        assert len(keys) == len(set(keys))


def test_ledger_is_written_before_what_follows_from_it() -> None:
    """Who reads between two inserts finds the entries that explain a balance, never a balance ahead of its entries."""
    blocks = ledger_update_blocks([update(1, entries=[entry(1)], conversations=[conversation()], usage=[usage()])])
    assert [block.table for block in blocks] == [
        "ledger_entries",
        "conversation_facts",
        "usage_daily_facts",
        "balance_facts",
    ]


def test_tables_without_rows_have_no_block() -> None:
    """Nothing is inserted for nothing."""
    assert [block.table for block in ledger_update_blocks([update(1)])] == ["balance_facts"]
    assert ledger_update_blocks([]) == []
    assert letter_blocks([]) == []


def test_workspaces_do_not_replace_one_another() -> None:
    """The same bot, day and version in two workspaces are two rows."""
    blocks = ledger_update_blocks(
        [update(1, workspace_id="a", usage=[usage()]), update(1, workspace_id="b", usage=[usage()])]
    )
    assert [block.rows for block in blocks] == [2, 2]


def test_letter_of_the_same_record_is_one_row() -> None:
    """A record that was refused twice is one dead letter."""
    letter = DeadLetter("late", "time: too late", "chat-events", 0, 7, None, b"{}")
    (block,) = letter_blocks([(LetterLocation("dead-letters", 0, offset, 0), letter) for offset in (3, 4)])
    assert block.rows == 1
    assert block.columns[block.names.index("version")] == [4]
