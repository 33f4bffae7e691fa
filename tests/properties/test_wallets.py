"""The wallets: conservation of money, for any inputs in any order, and the oracle's balances of sorted feeds."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import zip_longest

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meter.core.policy import Policy
from meter.core.wallet.wallets import Wallets
from schemas.ledger import Entry
from schemas.metered import WalletInput
from tests.feeds.generator import generate
from tests.oracle.oracle import meter
from tests.properties.money import (
    Book,
    assert_lots_hold_their_entries,
    assert_no_more_is_given_back_than_lapsed,
    audit,
    balances,
    inputs_of,
    oracle_balances,
    oracle_totals,
    totals,
)
from tests.properties.pipeline import STAGES, Turn, driven, metered
from tests.properties.worlds import (
    GAP,
    HORIZON,
    NOW,
    POLICY,
    START,
    feeds_in_order,
    hard_feeds,
    on_the_instant,
    steady,
    turns,
)


@given(hard_feeds, turns)
def test_money_is_conserved_through_crashes(lines: list[bytes], taken: list[Turn]) -> None:
    """DOMAIN, Prices and Debit order 6: sum of the ledger = balances, charges of conversations = their entries, days =
    their conversations, seq without a gap, every reversal undoes one charge on its lot: after any faults."""
    audit(metered(lines, NOW, taken, POLICY))


@given(hard_feeds, steady)
def test_money_is_conserved_at_every_ledger_update(lines: list[bytes], taken: list[Turn]) -> None:
    """The same laws hold at each moment that the ledger shows, not only at the end; and no lot holds what no entry gave
    it."""
    for partition, inputs in enumerate(inputs_of(driven(lines, NOW, taken, POLICY))):
        wallets, books = Wallets(POLICY, partition), defaultdict[str, Book](Book)
        for version, given_input in enumerate(inputs):
            wallets.step(given_input)
            for update in wallets.drain_updates(0, version):
                books[update.workspace_id].read(update)
                books[update.workspace_id].audit()
        for workspace_id, book in books.items():
            assert_lots_hold_their_entries(wallets, workspace_id, book.entries)
            assert_no_more_is_given_back_than_lapsed(book.entries)


# Against the oracle.


@given(hard_feeds, turns)
def test_the_total_charge_does_not_depend_on_order_and_faults(lines: list[bytes], taken: list[Turn]) -> None:
    """Metering 5: by any lots, each workspace is charged what one pass over the sorted feed charges."""
    assert totals(metered(lines, NOW, taken, POLICY)) == oracle_totals(meter(lines, NOW, horizon_ms=HORIZON))


@given(feeds_in_order, turns)
def test_balances_of_a_sorted_feed_are_the_oracles(lines: list[bytes], taken: list[Turn]) -> None:
    """With grants far from every event, what is left of free and paid credit is what the oracle says."""
    result = meter(lines, NOW, horizon_ms=HORIZON)
    found = balances(metered(lines, NOW, taken, POLICY))
    assert {name: found[name] for name in result.balances} == oracle_balances(result)


@settings(max_examples=max(25, settings().max_examples // 6))
@given(st.integers(0, 10**6), st.sampled_from((1, 2, 5, 10_000)), st.integers(1, 3))
def test_balances_of_generated_feeds_are_the_oracles(seed: int, records: int, partitions: int) -> None:
    """Large feeds by time, all actors and commands, ids made to be confused: each column of each balance."""
    lines = generate(seed, 150, start_ms=START)
    taken = [Turn("sessionize", partition, records, feed=3) for _ in range(60) for partition in range(partitions)]
    result = meter(lines, NOW)
    found = balances(metered(lines, NOW, taken, Policy(), partitions))
    assert {name: found[name] for name in result.balances} == oracle_balances(result)


@settings(max_examples=max(25, settings().max_examples // 6))
@given(st.integers(0, 10**6))
def test_grants_that_expire_inside_a_feed_pay_what_the_oracle_says(seed: int) -> None:
    """Debit order 5: on one partition, fed and metered event by event, also with grants that begin and end anywhere."""
    lines = generate(seed, 120, start_ms=START, far_grants=False)
    result = meter(lines, NOW)
    taken = [Turn(stage, 0, 1, checkpoint=True, feed=stage == "sessionize") for _ in lines for stage in STAGES]
    found = balances(metered(lines, NOW, taken, Policy(), partitions=1))
    assert {name: found[name] for name in result.balances} == oracle_balances(result)


@pytest.mark.parametrize(("late", "grant_micros"), [(0, 500_000), (3, 5_000_000)], ids=["in order", "late"])
@given(st.data())
def test_a_grant_pays_from_its_beginning_until_and_not_at_its_end(
    late: int, grant_micros: int, data: st.DataObject
) -> None:
    """Debit order 5: to the millisecond, on one partition, metered event by event; by the unit's own time, so that what
    has lapsed meanwhile still pays for a late one. Of late ones none takes what another would have had."""
    lines = data.draw(on_the_instant(st.integers(0, late).map(lambda number: number * 2 * GAP), grant_micros))
    result = meter(lines, NOW, horizon_ms=HORIZON)
    taken = [Turn(stage, 0, 1, checkpoint=True, feed=stage == "sessionize") for _ in lines for stage in STAGES]
    found = balances(metered(lines, NOW, taken, POLICY, partitions=1))
    assert {name: found[name] for name in result.balances} == oracle_balances(result)


# Repeats and commands, on one partition of wallet-inputs.


def settled(inputs: Iterable[WalletInput], partition: int) -> dict[str, object]:
    """All that the wallets of a log know in the end, and what they entered."""
    wallets = Wallets(POLICY, partition)
    entries: defaultdict[str, list[Entry]] = defaultdict(list)
    for version, each in enumerate(inputs):
        wallets.step(each)
        for update in wallets.drain_updates(0, version):
            entries[update.workspace_id] += update.entries
    known = {
        name: (msgspec.to_builtins(book.wallet), dict(book.conversations), dict(book.usage), entries[name])
        for name, book in wallets.books.items()
    }
    return {**known, "source": wallets.source}


@given(hard_feeds, st.integers(1, 30), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=30))
def test_repeats_of_whatever_was_metered_change_nothing(
    lines: list[bytes], every: int, repeats: list[tuple[int, int]]
) -> None:
    """A superseded worker may write again what it wrote: below a safe point, above it, older after newer. Wallets,
    conversations, days and entries stay the same. So with commands, whose ids are known for ever."""
    taken = [Turn("sessionize", number % 2, 1, number % every == 0, feed=1) for number in range(2 * len(lines))]
    for partition, inputs in enumerate(inputs_of(driven(lines, NOW, taken, POLICY))):
        assert settled(with_repeats(inputs, repeats), partition) == settled(inputs, partition)


def with_repeats(inputs: Sequence[WalletInput], repeats: Iterable[tuple[int, int]]) -> list[WalletInput]:
    """The inputs, some once more at any later place."""
    again: defaultdict[int, list[WalletInput]] = defaultdict(list)
    for number, distance in repeats:
        if inputs:
            number %= len(inputs)
            again[number + distance % (len(inputs) - number)].append(inputs[number])
    return [text for number, own in enumerate(inputs) for text in (own, *again[number])]


@given(hard_feeds, turns)
def test_a_wallet_that_restarts_comes_to_the_same(lines: list[bytes], taken: list[Turn]) -> None:
    """A wallet is a fold over one log: wherever its worker crashes, and with any writer after it, each entry and each
    fact is the one of a run without faults."""
    spoken = [replace(each, cut=None, wake=False) for each in taken if each.stage == "sessionize"]
    charged = [replace(each, feed=0) for each in taken if each.stage == "charge"]
    faulty = [turn for pair in zip_longest(spoken, charged) for turn in pair if turn is not None]
    assert metered(lines, NOW, faulty, POLICY) == metered(lines, NOW, spoken, POLICY)
