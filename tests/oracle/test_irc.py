"""The oracle against real chat traffic and totals that others computed (DOMAIN, Metering and Debit order)."""

import csv
import gzip
import json
from pathlib import Path

import pytest

from tests.feeds.disorder import repeat_some, shuffle_within
from tests.feeds.lines import HOUR_MS, millis
from tests.oracle.oracle import Result, merged, meter

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
NOW = millis(2026, 9, 1)

pytestmark = pytest.mark.skipif(
    not (DATA / "irc-train.ndjson.gz").exists(), reason="the real traffic of ../shared/data is not on this machine"
)


@pytest.fixture(scope="module")
def traffic() -> list[bytes]:
    return gzip.decompress((DATA / "irc-train.ndjson.gz").read_bytes()).splitlines()


def expected_rows(name: str) -> list[list[str]]:
    with (DATA / name).open(newline="") as file:
        return list(csv.reader(file))[1:]


def daily(result: Result) -> list[list[str]]:
    rows = [(*key, row.conversations, row.sessions, row.requests) for key, row in sorted(result.daily.items())]
    return [[str(cell) for cell in row] for row in rows]


def test_real_traffic_is_metered_as_expected(traffic: list[bytes]) -> None:
    """Totals, each workspace and each day, with no horizon."""
    result = meter(traffic, NOW, horizon_ms=None)
    expected = json.loads((DATA / "irc-train.expected.json").read_bytes())
    assert len({chain.key for chain in result.chains}) == expected["interaction_keys"]
    for found, wanted in [
        (result.totals, expected),
        *((row, expected["workspaces"][name]) for name, row in result.by_workspace().items()),
    ]:
        assert [found.conversations, found.sessions, found.requests] == [
            wanted[column] for column in ("conversations", "sessions", "requests")
        ]
    assert daily(result) == sorted(expected_rows("irc-train.expected-daily.csv"))
    assert (result.dead_letters, result.duplicates, result.conflicts) == ([], [], [])


def test_real_traffic_out_of_order_and_repeated_is_charged_as_expected(traffic: list[bytes]) -> None:
    """DOMAIN, Metering 5: any order within the horizon and any duplicates, with the accounts beside it."""
    accounts = (DATA / "irc-train.accounts.ndjson").read_bytes().splitlines()
    ordered = merged(accounts, traffic)
    for feed in (ordered, repeat_some(shuffle_within(ordered, 12 * HOUR_MS, seed=7), 0.05, seed=8, reach_ms=HOUR_MS)):
        result = meter(feed, NOW)
        assert daily(result) == sorted(expected_rows("irc-train.expected-daily.csv"))
        balances = [
            [name, b.free, b.paid, b.lapsed, b.charged_free, b.charged_paid]
            for name, b in sorted(result.balances.items())
        ]
        found = [[str(cell) for cell in row] for row in balances]
        assert found == expected_rows("irc-train.expected-balances.csv")
