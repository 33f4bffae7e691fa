"""The second stage: account commands and metered records in; ledger pages, dead letters and tallies out."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from meter import metrics
from meter.blocks import Entry, Loading, Sweep, pack
from meter.core.accounts import Account, Usage, UsageKey
from meter.core.book import Book, Wallet
from meter.core.policy import Policy
from meter.core.sessionize import Rejected
from meter.core.wallets import Source, Wallets
from meter.dead_letters import dead_letter, dead_letters
from meter.fold import Output
from meter.intake import read
from meter.log import Record
from meter.ports import Fetched
from schemas.dead_letters import DeadLetter
from schemas.ledger import Page, encode_page
from schemas.metered import SafePoint, decode_wallet_input
from schemas.tallies import Tally, encode_tally
from schemas.topics import LEDGER, TALLIES, WALLET_INPUTS

PAGE_INPUTS: Final = 2_000
"""Inputs that a page may come from, with which its round ends: it bounds the size of a page."""


class Mark(msgspec.Struct, array_like=True):
    """What every checkpoint holds: what is known of each partition of chat-events, and how many inputs were refused."""

    sources: dict[int, Source] = {}
    refused: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode_mark = msgspec.msgpack.Decoder(Mark).decode
_decode_key = msgspec.msgpack.Decoder(tuple[str, str, str, int]).decode
_decode_wallet = msgspec.msgpack.Decoder(Wallet).decode
_decode_account = msgspec.msgpack.Decoder(Account).decode
_decode_usage = msgspec.msgpack.Decoder(Usage).decode


class Charger:
    """The fold of one partition of wallet-inputs."""

    def __init__(self, policy: Policy, partition: int) -> None:
        self._partition = partition
        self._policy = policy
        self._refused = 0
        self._wallets = Wallets(policy, {})
        self._used_up: set[str] = set()
        """Workspaces that had no credit left on their last page."""
        self._loading = Loading()
        self._sweep = Sweep(self._keys, self._value_of)

    def load(self, offset: int, block: bytes) -> None:
        """A part of what a checkpoint held."""
        self._loading.load(offset, block)

    def finish(self, mark: bytes | None, floor: int) -> None:
        """The state is what was loaded."""
        saved = _decode_mark(mark) if mark else Mark()
        self._refused = saved.refused
        self._wallets = Wallets(self._policy, saved.sources)
        loaded, self._loading = self._loading.finish(floor), Loading()
        books = _books(loaded)
        self._wallets.restore(books)
        self._used_up = {name for name, book in books.items() if book.wallet.free_micros + book.wallet.paid_micros <= 0}

    def take(self, records: list[Fetched]) -> Iterator[Output]:
        """Charge a batch: a page for each workspace, as a rule. A round ends where one of the pages is full."""
        wallets = self._wallets
        letters: list[DeadLetter] = []
        tallies: list[Tally] = []
        for record in records:
            given = read(record.value, decode_wallet_input)
            if isinstance(given, SafePoint):
                tallies += self._tally(given, record.offset)
            refused = given if isinstance(given, Rejected) else wallets.step(given, record.offset)
            if refused is not None:
                self._refused += 1
                letters.append(
                    dead_letter(WALLET_INPUTS, self._partition, record, Rejected(refused.code, refused.reason))
                )
            if wallets.fullest_page >= PAGE_INPUTS:
                yield from self._say(letters, tallies, record.offset)
                letters, tallies = [], []
        yield from self._say(letters, tallies, records[-1].offset)

    def _say(self, letters: list[DeadLetter], tallies: list[Tally], offset: int) -> Iterator[Output]:
        """What a round has come to, as of `offset`."""
        pages = self._wallets.take_pages(self._partition, offset)
        self._observe(pages)
        _count_debits(pages)
        yield dead_letters(letters)
        yield Output(LEDGER, [Record(page.workspace_id.encode(), encode_page(page)) for page in pages])
        # Keyed by where the events came from, so that what is told of one partition stays in one place.
        yield Output(TALLIES, [Record(str(each.origin_partition).encode(), encode_tally(each)) for each in tallies])

    def _observe(self, pages: list[Page]) -> None:
        """How old the events are by now, and those that used up the last credit."""
        now_ms = time.time() * 1000
        caused = [(page, max(0.0, now_ms - page.produced_ms) / 1000) for page in pages if page.produced_ms]
        metrics.EVENT_TO_DEBIT.observe(age_s for _, age_s in caused)
        metrics.EVENT_TO_USED_UP.observe(age_s for page, age_s in caused if self._has_just_used_up(page))

    def _has_just_used_up(self, page: Page) -> bool:
        if page.balance.free_micros + page.balance.paid_micros > 0:
            self._used_up.discard(page.workspace_id)
            return False
        was_used_up = page.workspace_id in self._used_up
        self._used_up.add(page.workspace_id)
        return not was_used_up

    def _tally(self, point: SafePoint, version: int) -> Iterator[Tally]:
        """What was taken up to a safe point, where that can be told."""
        source = self._wallets.taken_up_to(point)
        if source is not None:
            yield Tally(
                origin_partition=point.origin_partition,
                origin_offset=point.origin_offset,
                wallet_partition=self._partition,
                version=version,
                counts=point.counts,
                messages=source.messages,
                occurrences=source.occurrences,
                refused_inputs=self._refused,
                workspaces=self._wallets.workspaces,
            )

    def changed(self) -> Iterator[bytes]:
        """The wallets, accounts and days that changed or ended."""
        touched, self._wallets.touched = self._wallets.touched, {}
        return pack(self._entries(touched))

    def _entries(self, touched: dict[str, Book]) -> Iterator[Entry]:
        for workspace_id, book in touched.items():
            keys = [_wallet(workspace_id)]
            keys += [_account(workspace_id, conversation_id) for conversation_id in book.touched_accounts]
            keys += [_usage(workspace_id, day) for day in book.touched_usage]
            book.touched_accounts, book.touched_usage = set(), set()
            for key in keys:
                yield key, self._value_of(key)

    def sweep(self, size_bytes: int) -> tuple[bytes, bool]:
        """The next wallets, accounts and days in turn."""
        return self._sweep.next(size_bytes)

    def _keys(self) -> Iterator[bytes]:
        for workspace_id, book in self._wallets.books.items():
            yield _wallet(workspace_id)
            yield from (_account(workspace_id, conversation_id) for conversation_id in book.accounts)
            yield from (_usage(workspace_id, day) for day in book.usage)

    def _value_of(self, key: bytes) -> bytes | None:
        kind, workspace_id, name, day = _decode_key(key)
        book = self._wallets.books[workspace_id]
        if kind == "wallet":
            return _encode(book.wallet)
        found = book.accounts.get(name) if kind == "account" else book.usage.get(UsageKey(name, day))
        return None if found is None else _encode(found)

    def mark(self) -> bytes:
        """What is known of each partition of chat-events, and how many inputs were refused."""
        return _encode(Mark(self._wallets.sources, self._refused))

    def confirm(self, offset: int) -> Iterable[Output]:  # noqa: ARG002 - the shape of a fold
        """A wallet has nobody to tell."""
        return ()

    def idle(self, now_ms: int) -> list[Record]:  # noqa: ARG002 - the shape of a fold
        """A wallet's time comes with the safe points."""
        return []


def _wallet(workspace_id: str) -> bytes:
    return _encode(("wallet", workspace_id, "", 0))


def _account(workspace_id: str, conversation_id: str) -> bytes:
    return _encode(("account", workspace_id, conversation_id, 0))


def _usage(workspace_id: str, key: UsageKey) -> bytes:
    return _encode(("usage", workspace_id, key.bot_id, key.day))


def _books(records: dict[bytes, bytes]) -> dict[str, Book]:
    """The books that a checkpoint's records make up. Wallets come first, so that there is a book to put the rest in."""
    keyed = sorted((_decode_key(key), value) for key, value in records.items())
    books = {key[1]: Book(_decode_wallet(value)) for key, value in keyed if key[0] == "wallet"}
    for (kind, workspace_id, name, day), value in keyed:
        if kind == "account":
            books[workspace_id].accounts[name] = _decode_account(value)
        elif kind == "usage":
            books[workspace_id].usage[UsageKey(name, day)] = _decode_usage(value)
    return books


def _count_debits(pages: list[Page]) -> None:
    debits = 0
    debited_micros: Counter[str] = Counter()
    for page in pages:
        for entry in page.entries:
            if entry.kind == "charge":
                debits += 1
                debited_micros[entry.lot_kind] -= entry.amount_micros
    metrics.DEBITS.inc(debits)
    for lot_kind, amount_micros in debited_micros.items():
        metrics.DEBITED_MICROS.labels(lot_kind).inc(amount_micros)
