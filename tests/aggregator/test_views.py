"""What analysts see after updates were written once, twice, out of order, or by a worker that should be gone."""

from datetime import date
from itertools import permutations
from typing import Any

import pytest
from msgspec import structs

from aggregator.clickhouse.client import ClickHouse
from aggregator.core.rows import ledger_update_blocks
from schemas.instants import DAY_MS
from schemas.ledger import LedgerUpdate
from tests.aggregator.facts import DAY, PRICE_MICROS, conversation, entry, update, usage

VIEWS = (
    *("conversations", "absorbed_conversations", "reversed_conversations", "ledger"),
    *("usage_daily", "usage_monthly", "balances"),
)

HISTORY = [
    update(
        10,
        entries=[entry(1, 5 * PRICE_MICROS), entry(2)],
        conversations=[conversation(1)],
        usage=[usage(DAY, 1)],
        free_micros=4 * PRICE_MICROS,
    ),
    update(
        20,
        entries=[entry(3)],
        conversations=[conversation(1, requests=2), conversation(2)],
        usage=[usage(DAY, 2)],
        free_micros=3 * PRICE_MICROS,
    ),
    update(
        30,
        entries=[entry(4, PRICE_MICROS)],
        conversations=[conversation(2, state="absorbed", absorbed_into="conversation-1", requests=0)],
        usage=[usage(DAY, 1)],
        free_micros=4 * PRICE_MICROS,
    ),
]


def write(clickhouse: ClickHouse, *updates: LedgerUpdate) -> None:
    for block in ledger_update_blocks(updates):
        clickhouse.insert(block)


def seen(clickhouse: ClickHouse) -> dict[str, list[tuple[Any, ...]]]:
    return {view: sorted(clickhouse.query(f"SELECT * FROM {view}")) for view in VIEWS}


def test_rewriting_in_any_order_changes_nothing(clickhouse: ClickHouse) -> None:
    """Repeats, reordering and a zombie that writes old versions after newer ones leave every view as it was."""
    write(clickhouse, *HISTORY)
    once = seen(clickhouse)
    write(clickhouse, *HISTORY)
    assert seen(clickhouse) == once
    for order in permutations(HISTORY):
        for stale in order:
            write(clickhouse, stale)
        assert seen(clickhouse) == once


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_first_arrival_may_be_any_version(clickhouse: ClickHouse, order: tuple[int, ...]) -> None:
    """The views depend on which updates were written, not on which came first."""
    for at in order:
        write(clickhouse, HISTORY[at])
    assert clickhouse.query("SELECT conversation_id, requests FROM conversations") == [("conversation-1", 2)]
    assert clickhouse.query("SELECT conversations FROM usage_daily") == [(1,)]
    assert clickhouse.query("SELECT seq FROM ledger ORDER BY seq") == [(1,), (2,), (3,), (4,)]
    assert clickhouse.query("SELECT free_micros FROM balances") == [(4 * PRICE_MICROS,)]


def test_balance_is_the_sum_of_the_ledger(clickhouse: ClickHouse) -> None:
    """Money that the ledger names is money that the balance has, to the micro-dollar."""
    write(clickhouse, *HISTORY)
    ((ledger,),) = clickhouse.query("SELECT sum(amount_micros) FROM ledger")
    ((balance,),) = clickhouse.query("SELECT free_micros + paid_micros FROM balances")
    assert ledger == balance


def test_paid_balance_may_be_negative(clickhouse: ClickHouse) -> None:
    """A workspace can overdraw; the sign survives the way into the table."""
    write(clickhouse, update(1, paid_micros=-1))
    assert clickhouse.query("SELECT paid_micros FROM balances") == [(-1,)]


def test_month_is_the_sum_of_its_days(clickhouse: ClickHouse) -> None:
    """Usage by month cannot disagree with usage by day, after any row was replaced."""
    days = range(DAY, DAY + 100)
    write(clickhouse, update(1, usage=[usage(day, day % 7) for day in days] + [usage(DAY, 3, "other")]))
    write(clickhouse, update(2, usage=[usage(day, day % 5) for day in days if day % 3 == 0]))
    numbers = "conversations, sessions, requests, total_units, charged_free_micros"
    sums = ", ".join(f"sum({name})" for name in numbers.split(", "))
    by_day = clickhouse.query(
        f"SELECT workspace_id, bot_id, toStartOfMonth(day) AS m, {sums} FROM usage_daily GROUP BY ALL ORDER BY ALL"
    )
    by_month = clickhouse.query(f"SELECT workspace_id, bot_id, month, {numbers} FROM usage_monthly ORDER BY ALL")
    assert by_month == by_day
    assert {row[2] for row in by_month} >= {date(2022, 1, 1), date(2022, 2, 1), date(2022, 4, 1)}


def test_day_of_zeros_is_left_out(clickhouse: ClickHouse) -> None:
    """A day whose last unit moved elsewhere is no row, by day nor by month."""
    write(clickhouse, update(1, usage=[usage(DAY, 1)]), update(2, usage=[usage(DAY, 0), usage(DAY + 40, 1)]))
    assert clickhouse.query("SELECT day FROM usage_daily") == [(date(2022, 2, 17),)]
    assert clickhouse.query("SELECT month FROM usage_monthly") == [(date(2022, 2, 1),)]


def test_conversations_are_billable_and_not_absorbed(clickhouse: ClickHouse) -> None:
    """A chain of bot messages alone, and what was bridged into another, are kept as facts and are no conversation."""
    write(
        clickhouse,
        update(
            1,
            conversations=[
                conversation(1),
                conversation(2, billable=False),
                conversation(3, state="absorbed", absorbed_into="conversation-1"),
            ],
        ),
    )
    assert clickhouse.query("SELECT conversation_id FROM conversations") == [("conversation-1",)]
    assert clickhouse.query("SELECT count() FROM conversation_facts FINAL") == [(3,)]


def test_moved_start_replaces_the_row_across_months(clickhouse: ClickHouse) -> None:
    """A late message can move a conversation's first message into another month: it stays one row, by its new day."""
    write(clickhouse, update(1, conversations=[conversation(1)]))
    write(clickhouse, update(2, conversations=[conversation(1, first_ms=(DAY - 31) * DAY_MS + 5)]))
    assert clickhouse.query("SELECT day, toUnixTimestamp64Milli(first_at) FROM conversations") == [
        (date(2021, 12, 8), (DAY - 31) * DAY_MS + 5)
    ]


def test_instants_keep_their_milliseconds(clickhouse: ClickHouse) -> None:
    """Event time is exact to the millisecond in every table."""
    write(clickhouse, update(1, entries=[entry(999)]))
    assert clickhouse.query("SELECT toUnixTimestamp64Milli(occurred_at) FROM ledger") == [(DAY * DAY_MS + 999,)]


def test_an_entry_says_when_it_was_booked_and_for_which_day(clickhouse: ClickHouse) -> None:
    """The day is the conversation's, which a session after midnight does not change."""
    late = structs.replace(entry(1), occurred_ms=(DAY + 1) * DAY_MS, booked_ms=DAY * DAY_MS + 7, day=DAY)
    write(clickhouse, update(1, entries=[late]))
    assert clickhouse.query("SELECT day, toUnixTimestamp64Milli(booked_at), toDate(occurred_at) FROM ledger") == [
        (date(2022, 1, 8), DAY * DAY_MS + 7, date(2022, 1, 9))
    ]


def test_absorbed_and_reversed_conversations_can_be_found(clickhouse: ClickHouse) -> None:
    """With what absorbed them, how much was reversed, and what they are charged in all by now."""
    undone = structs.replace(entry(2, PRICE_MICROS), kind="reversal", reverses="entry-1", unit_id="unit-1")
    undone = structs.replace(undone, conversation_id="conversation-1")
    absorbed = conversation(1, state="absorbed", absorbed_into="conversation-2", requests=0)
    write(clickhouse, update(1, entries=[entry(1), undone, entry(3)], conversations=[absorbed, conversation(2)]))
    assert clickhouse.query("SELECT conversation_id, absorbed_into FROM absorbed_conversations") == [
        ("conversation-1", "conversation-2")
    ]
    found = "SELECT conversation_id, reversals, reversed_micros, charged_micros FROM reversed_conversations"
    assert clickhouse.query(found) == [("conversation-1", 1, PRICE_MICROS, 0)]


def test_backfill_over_many_months_is_one_insert(clickhouse: ClickHouse) -> None:
    """Ten years in one batch are written: the engine's default of at most a hundred partitions is lifted."""
    opened = [conversation(number * 30 * DAY_MS) for number in range(120)]
    write(clickhouse, update(1, conversations=opened))
    assert clickhouse.query("SELECT count() FROM conversations") == [(120,)]
