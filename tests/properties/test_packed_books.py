"""Packed books: which are packed, and when, cannot be told from what a charger writes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from meter.charger.charger import Charger
from meter.core.policy import PolicyInForce
from meter.core.wallet.book import Book
from meter.core.wallet.packed_books import MayBePacked, can_be_packed, is_quiet, pack_book, unpack_book
from meter.core.wallet.wallets import Wallets
from meter.kafka.fetched import Fetched
from meter.kafka.records import Record
from meter.stage.blocks import pack, unpack
from schemas.metered import SafePoint
from schemas.policy import encode_policy
from schemas.topics import WALLET_INPUTS
from tests.feeds.lines import DAY_MS, HOUR_MS
from tests.packed_records import listed
from tests.properties.memory_log import MemoryLog, stored
from tests.properties.money import inputs_of
from tests.properties.pipeline import Turn, driven
from tests.properties.worlds import HOLD, NOW, POLICY, STANDARD, START, STRANGER, command, hard_feeds, steady

CHANGES = st.lists(
    st.tuples(st.sampled_from((STANDARD, STRANGER, "new")), st.sampled_from(("grant", "order", "plan")), st.booleans()),
    max_size=6,
)
"""Commands to workspaces that are quiet by then, and whether a day passes before the next one."""
PROVISION = PolicyInForce(policy=msgspec.structs.replace(HOLD, unknown_workspace="provision"), version=2)
LATER_MS = START + 3 * DAY_MS


def never(book: Book) -> bool:  # noqa: ARG001 - the shape of what decides
    return False


def now_and_then(seed: int) -> MayBePacked:
    """Packs some of the books that could be, live ones too."""
    rng = Random(seed)
    return lambda book: can_be_packed(book) and rng.random() < 0.3


def later(log: MemoryLog, partition: int, changes: Iterable[tuple[str, str, bool]]) -> Iterator[Fetched]:
    """What a partition reads when nothing is live any more: commands, and days that pass until all grants have ended.

    Of some grants the term begins only later. What was held is charged before the last day.
    """
    at_ms, offset, point = LATER_MS, len(log.topics[WALLET_INPUTS.name, partition]), 10**6
    values = [passed(partition, point, at_ms)]
    for number, (workspace, kind, passes) in enumerate(changes):
        if log.place(workspace.encode()) == partition:
            values.append(changed(workspace, kind, number, at_ms))
        at_ms += DAY_MS * passes
        values.append(passed(partition, point + number + 1, at_ms))
    values.append(encode_policy(PROVISION.record()))
    values.append(passed(partition, 2 * point, at_ms + 200 * DAY_MS))
    for number, value in enumerate(values):
        yield stored(WALLET_INPUTS.name, partition, offset + number, Record(b"k", value), NOW)


def passed(partition: int, origin_offset: int, watermark_ms: int) -> bytes:
    return msgspec.json.encode(
        SafePoint(origin_partition=partition, origin_offset=origin_offset, watermark_ms=watermark_ms)
    )


def changed(workspace: str, kind: str, number: int, at_ms: int) -> bytes:
    text = f"later-{number}"
    match kind:
        case "grant":
            begins_ms = at_ms + number % 2 * 7 * HOUR_MS
            return command("grant.assigned", begins_ms, text, workspace, grant_id=text, amount_micros=1_000_001)
        case "order":
            return command("credits.purchased", at_ms, text, workspace, order_id=text, amount_micros=5, method="card")
        case _:
            plan = {"plan": "enterprise", "session_price_micros": 7}
            return command("plan.changed", at_ms, text, workspace, **plan)


def written(charger: Charger, inputs: Sequence[Fetched], size: int, every: int) -> Iterator[object]:
    """All that it writes: outputs in their order, the entries of each checkpoint, parts of sweeps, marks."""
    for number, at in enumerate(range(0, len(inputs), size)):
        yield [list(map(bare, listed(output.records))) for output in charger.process(inputs[at : at + size])]
        if number % every == 0:
            yield [entry for block in charger.changed() for entry in unpack(block)], charger.mark()


def bare(record: Record) -> tuple[bytes | None, bytes | None]:
    return record.key, record.value


def swept(charger: Charger, size_bytes: int = 64) -> dict[bytes, bytes | None]:
    """The entries of a whole sweep, each once."""
    entries: list[tuple[bytes, bytes | None]] = []
    is_over = False
    while not is_over:
        block, is_over = charger.sweep(size_bytes)
        entries += unpack(block)
    assert len(dict(entries)) == len(entries)
    return dict(entries)


def restored(charger: Charger, make_charger: Callable[[], Charger]) -> Charger:
    """The same state in a new charger, the entries loaded in the order of their keys."""
    again = make_charger()
    again.load(0, b"".join(pack(sorted(swept(charger).items()))))
    again.finish(charger.mark(), -1)
    return again


@given(hard_feeds, steady, CHANGES, st.integers(1, 30), st.integers(1, 3), st.booleans(), st.booleans())
def test_what_is_packed_does_not_show(
    lines: list[bytes],
    taken: list[Turn],
    changes: list[tuple[str, str, bool]],
    size: int,
    every: int,
    holds: bool,
    restarts: bool,
) -> None:
    """Nothing packed, quiet ones, all that could be, some: the same records, entries and marks, byte by byte; also
    where a restart comes in between."""
    policy = HOLD if holds else POLICY
    log = driven(lines, NOW, taken, policy)

    def history(partition: int, packs: MayBePacked) -> list[object]:
        make_charger = partial(Charger, policy, partition, log.number, packs)
        charger, inputs = make_charger(), log.topics[WALLET_INPUTS.name, partition]
        found = [*written(charger, inputs, size, every), list(charger.changed()), swept(charger)]
        charger = restored(charger, make_charger) if restarts else charger
        found += written(charger, list(later(log, partition, changes)), size, every)
        return [*found, list(charger.changed()), swept(charger)]

    for partition in range(log.number):
        expected = history(partition, never)
        for packs in (is_quiet, can_be_packed, now_and_then(size)):
            assert history(partition, packs) == expected


@given(hard_feeds, steady)
def test_a_book_that_comes_back_is_equal(lines: list[bytes], taken: list[Turn]) -> None:
    """In all that it holds, and in the order of it."""
    for partition, inputs in enumerate(inputs_of(driven(lines, NOW, taken, POLICY))):
        wallets = Wallets(POLICY, partition)
        for version, each in enumerate(inputs):
            wallets.step(each)
            wallets.drain_updates(0, version)
        for book in wallets.take_touched().values():
            book.take_touched()
            again = unpack_book(book.wallet.workspace_id, pack_book(book))
            assert msgspec.json.encode(again.wallet) == msgspec.json.encode(book.wallet)
            assert list(again.conversations.items()) == list(book.conversations.items())
            assert list(again.usage.items()) == list(book.usage.items())
