"""Worked examples of usage plans like these, from Kore.ai: from a feed to what SQL answers.

Its page on billing says that a talk of 31 minutes is three sessions (0-15, 16-30, 31-end), and that a report every 8
hours is three alert sessions a day. Of its usage table we have figures only, not the page that they were on: 57 alerts,
10 proactive notifications and 3 conversations are 70 units, and the averages over them are 70, 35 and 2.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aggregator.clickhouse.client import ClickHouse
from aggregator.clickhouse.migrate import apply
from aggregator.core.rows import ledger_update_blocks
from meter.core.policy import Policy
from schemas.ledger import decode_ledger_update
from schemas.topics import LEDGER
from tests.oracle.build import ENTERPRISE, HOUR, MIN, NOW, STANDARD, chat
from tests.properties.memory_log import MemoryLog
from tests.properties.pipeline import Pipeline, driven

FIGURES = "alert_notifications, proactive_notifications, conversations, requests, total_units"

TABLE = [
    STANDARD,
    *(chat(number * MIN, "bot", kind="notification.alert") for number in range(57)),
    *(chat(number * MIN, "bot", kind="notification.proactive", id=f"p-{number}") for number in range(10)),
    *(chat(HOUR, user=f"u-{number}", id=f"c-{number}") for number in range(3)),
]
"""The usage table's day. Nothing comes after the conversations' first messages, so they are open."""


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[ClickHouse]:
    """Migrated and empty."""
    with ClickHouse(f"chdb://{tmp_path}/clickhouse") as opened:
        apply(opened)
        yield opened


def write(clickhouse: ClickHouse, log: MemoryLog) -> None:
    """All updates of the ledger, as the aggregator writes them."""
    for block in ledger_update_blocks(decode_ledger_update(record.value) for record in log.all_of(LEDGER.name)):
        clickhouse.insert(block)


def open_day() -> Pipeline:
    """The usage table's day, metered and not closed."""
    pipeline = Pipeline(TABLE, NOW, Policy())
    pipeline.run()
    return pipeline


def test_31_minutes_are_three_sessions(clickhouse: ClickHouse) -> None:
    """DOMAIN, Metering 3; on Enterprise all three are charged."""
    talk = [chat(at * MIN, actor) for at, actor in ((0, "user"), (14, "bot"), (20, "user"), (31, "bot"))]
    write(clickhouse, driven([ENTERPRISE, *talk], NOW))
    assert clickhouse.query("SELECT sessions, dateDiff('minute', first_at, last_at) FROM conversations") == [(3, 31)]
    assert clickhouse.query("SELECT conversations, sessions, charged_paid_micros FROM usage_daily") == [(1, 3, 300_000)]


def test_an_alert_every_8_hours_is_three_units_a_day(clickhouse: ClickHouse) -> None:
    """DOMAIN, Words: an alert is a unit of its own type, with no conversation about it."""
    alerts = [chat(at * HOUR, "bot", kind="notification.alert") for at in (-8, 0, 8, 16)]
    write(clickhouse, driven([STANDARD, *alerts], NOW))
    assert clickhouse.query("SELECT alert_notifications, total_units, conversations FROM usage_daily ORDER BY day") == [
        (3, 3, 0),
        (1, 1, 0),
    ]


def test_57_alerts_10_proactive_and_3_conversations_are_70_units(clickhouse: ClickHouse) -> None:
    """DOMAIN, Words: requests are units too, from the close of their conversation on; the table was taken before."""
    pipeline = open_day()
    write(clickhouse, pipeline.log)
    assert clickhouse.query(f"SELECT {FIGURES} FROM usage_daily") == [(57, 10, 3, 0, 70)]
    pipeline.close()
    pipeline.run()
    write(clickhouse, pipeline.log)
    assert clickhouse.query(f"SELECT {FIGURES} FROM usage_daily") == [(57, 10, 3, 3, 73)]


def average(clickhouse: ClickHouse, periods: int) -> int:
    """Average daily conversations over so many days up to the last: ceil(total units / elapsed periods)."""
    ((found,),) = clickhouse.query(
        f"WITH {periods} AS elapsed, (SELECT max(day) FROM usage_daily) AS last "
        "SELECT toInt64(ceil(sum(total_units) / elapsed)) FROM usage_daily WHERE day > last - elapsed"
    )
    return int(found)


def test_the_average_is_of_all_elapsed_periods_rounded_up(clickhouse: ClickHouse) -> None:
    """Days without a row count as periods.

    70 is of one period and 35 of two. We do not know which gave 2: it is 2 for 35 to 69 of them and for no others.
    """
    write(clickhouse, open_day().log)
    expected = {1: 70, 2: 35, 34: 3, 35: 2, 69: 2, 70: 1}
    assert {periods: average(clickhouse, periods) for periods in expected} == expected
