"""The sample feed in the product is the one that its program makes, and shows what it is meant to show."""

import gzip
from collections import Counter

import pytest

from tests.feeds.lines import MINUTE_MS, millis
from tests.feeds.make_sample import BANK, BOOKS, BOTS, SAMPLE, TRAVEL, accounts, packed, plain, traffic
from tests.oracle.oracle import Result, merged, meter

NOW = millis(2026, 12, 1)


@pytest.fixture(scope="module")
def result() -> Result:
    return meter(merged(accounts(), traffic()), NOW)


def test_the_sample_can_be_remade() -> None:
    """The lines exactly; the compressed bytes too, wherever the compressor is the same."""
    shipped = (SAMPLE / "traffic.ndjson.gz").read_bytes()
    assert gzip.decompress(shipped) == plain(traffic())
    assert (SAMPLE / "accounts.ndjson").read_bytes() == plain(accounts())
    assert packed(traffic()) == packed(traffic())
    assert shipped[3:8] == bytes(5), "no flags and no date in the header"


def test_the_sample_shows_every_way_to_pay(result: Result) -> None:
    """Free credit almost used up; free, then designated, then shared credit; an Enterprise contract."""
    kinds = {name: {c.lot_kind for c in result.charges if c.workspace == name} for name in (BOOKS, TRAVEL, BANK)}
    assert kinds == {BOOKS: {"free"}, TRAVEL: {"free", "designated", "shared"}, BANK: {"shared"}}
    assert 0 < result.balances[BOOKS].free < 5_000_000
    assert {(workspace, bot) for workspace, bot, _ in result.daily} == {(w, b) for w in BOTS for b in BOTS[w]}
    assert (result.totals.proactive, result.totals.alert, len(result.commands)) == (125, 30, 20)


def test_the_sample_is_as_untidy_as_the_field(result: Result) -> None:
    """Refused lines, repeated lines and an answer that arrives after both conversations which it joins."""
    codes = Counter((letter.code, letter.field) for letter in result.dead_letters)
    assert codes == {
        ("unreadable", ""): 2,
        ("invalid", "bot_id"): 1,
        ("invalid", "actor"): 1,
        ("invalid", "time"): 1,
        ("late", "time"): 1,
        ("future", "time"): 1,
    }
    assert len(result.duplicates) > 20
    (bridged,) = [chain for chain in result.conversations if chain.key[3] == "visitor-bridge"]
    assert (bridged.last - bridged.first, bridged.messages) == (20 * MINUTE_MS, 3)
