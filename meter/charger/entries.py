"""The entries of a checkpoint of the charger: which there are of a book, which changed, and the value of each.

Each entry is bounded, because names are (docs/adr/0030). What a workspace may have many of is not in its wallet's
entry: lots, bots, commands, orders and the terms of plans are entries of their own, and long lists lie in chunks. So a
checkpoint also writes only those that changed.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from msgspec.structs import replace

from meter.charger.state import Key, decode_key, encode, encode_key
from meter.charger.unit_chunks import UnitChunks, changed_unit_chunks
from meter.core.wallet.billed_conversations import BilledConversation
from meter.core.wallet.book import Book
from meter.core.wallet.chunks import changed_chunks, chunk, chunks_of, fit_inline, rows_of
from meter.core.wallet.daily_usage import UsageKey
from meter.core.wallet.lots import Lot
from meter.core.wallet.plan_terms import Timeline
from meter.core.wallet.purchases import Purchases
from meter.core.wallet.wallet import Bot, without_parts
from meter.core.wallet.wallets import Wallets
from meter.stage.blocks import Entry


def keys_in_turn(wallets: Wallets) -> Iterator[Iterator[bytes]]:
    """The keys of each workspace in turn. None comes twice if it is packed or unpacked meanwhile."""
    for workspace_id in list(wallets.names()):
        book = wallets.read(workspace_id)
        assert book is not None, "a book is never removed"
        yield keys_of(workspace_id, book)


def keys_of(workspace_id: str, book: Book) -> Iterator[bytes]:
    """The keys of all entries of a book."""
    return (encode_key(Key(kind, workspace_id, name, number)) for kind, name, number in _all(book))


def _all(book: Book) -> Iterator[tuple[str, str, int]]:
    wallet = book.wallet
    yield "wallet", "", 0
    for lot_id, lot in wallet.lots.by_id.items():
        yield "lot", lot_id, 0
        yield from (("lot_lapses", lot_id, number) for number in range(chunks_of(len(lot.lapses))))
    yield from (("term", "", from_ms) for from_ms in wallet.plan.instants())
    for bot_id, bot in wallet.bots.items():
        yield "bot", bot_id, 0
        yield from (("term", bot_id, from_ms) for from_ms in bot.plan.instants())
    yield from (("command", command, 0) for command in wallet.commands)
    for kind, find in _PURCHASES.items():
        yield from ((kind, name, 0) for name in find(wallet.purchases))
    for name, conversation in book.conversations.items():
        yield "conversation", name, 0
        if not fit_inline(conversation.units):
            yield from (("units", name, number) for number in range(chunks_of(rows_of(conversation.units))))
    yield from (("usage", day.bot_id, day.day) for day in book.usage)


def _changed(book: Book) -> Iterator[tuple[str, str, int]]:
    touched, lots = book.take_touched(), book.wallet.lots.by_id
    yield "wallet", "", 0
    yield from (("lot", lot_id, 0) for lot_id in touched.lots)
    for lot_id, tail in touched.lapses.items():
        yield from (("lot_lapses", lot_id, each) for each in changed_chunks(*tail, len(lots[lot_id].lapses)))
    yield from (("bot", bot_id, 0) for bot_id in touched.bots)
    yield from (("term", bot_id, from_ms) for bot_id, from_ms in touched.terms)
    yield from (("command", command, 0) for command in touched.commands)
    yield from ((kind, name, 0) for kind, name in touched.purchases)
    yield from (("conversation", each, 0) for each in touched.conversations)
    for name, tail in touched.units.items():
        conversation = book.conversations.get(name)
        units = conversation.units if conversation else ()
        yield from (("units", name, each) for each in changed_unit_chunks(units, tail))
    yield from (("usage", day.bot_id, day.day) for day in touched.usage)


class Entries:
    """Reads the values of entries from books."""

    def __init__(self) -> None:
        self._unit_chunks = UnitChunks()

    def changed(self, books: Mapping[str, Book]) -> Iterator[Entry]:
        """The entries that were added, changed or ended since the last call, of the books that changed."""
        for workspace_id, book in books.items():
            for kind, name, number in _changed(book):
                found = self._find(kind, book, name, number)
                key = encode((kind, workspace_id, name, number))  # A `Key`, which takes longer to make.
                yield key, None if found is None else encode(found)

    def value_of(self, read: Callable[[str], Book | None], key: bytes) -> bytes | None:
        """The value of an entry; None if it has ended. `read` returns a workspace's book."""
        kind, workspace_id, name, number = decode_key(key)
        book = read(workspace_id)
        assert book is not None, "a book is never removed"
        found = self._find(kind, book, name, number)
        return None if found is None else encode(found)

    def _find(self, kind: str, book: Book, name: str, number: int) -> object:
        purchases = _PURCHASES.get(kind)
        if purchases is not None:
            return purchases(book.wallet.purchases).get(name)
        find = _FOUND.get(kind)
        return find(book, name, number) if find else self._units(book, name, number)

    def _units(self, book: Book, name: str, number: int) -> object:
        conversation = book.conversations.get(name)
        return conversation and (self._unit_chunks.chunk(conversation.units, number) or None)


def _timeline(book: Book, bot_id: str) -> Timeline:
    return book.wallet.bots[bot_id].plan if bot_id else book.wallet.plan


def _without_lapses(lot: Lot | None) -> object:
    return lot if lot is None or not lot.lapses else replace(lot, lapses=[])


def _without_plan(bot: Bot | None) -> object:
    return bot if bot is None else replace(bot, plan=Timeline())


def _without_chunks(conversation: BilledConversation | None) -> object:
    if conversation is None or fit_inline(conversation.units):
        return conversation
    return replace(conversation, units=())


_PURCHASES: Final[Mapping[str, Callable[[Purchases], Mapping[str, object]]]] = {
    "order": lambda purchases: purchases.orders,
    "method": lambda purchases: purchases.methods,
    "scope": lambda purchases: purchases.scopes,
    "refund": lambda purchases: purchases.refunds,
}
"""The entries of each of these kinds by name."""

_FOUND: Final[Mapping[str, Callable[[Book, str, int], object]]] = {
    "wallet": lambda book, _name, _number: without_parts(book.wallet),
    "lot": lambda book, name, _number: _without_lapses(book.wallet.lots.by_id.get(name)),
    "lot_lapses": lambda book, name, number: chunk(book.wallet.lots.by_id[name].lapses, number) or None,
    "bot": lambda book, name, _number: _without_plan(book.wallet.bots.get(name)),
    "term": lambda book, name, from_ms: _timeline(book, name).of(from_ms) or None,
    "command": lambda book, name, _number: book.wallet.commands.get(name),
    "conversation": lambda book, name, _number: _without_chunks(book.conversations.get(name)),
    "usage": lambda book, name, day: book.usage.get(UsageKey(name, day)),
}
"""How an entry of each kind is found by the name and the number in its key. Chunks of units are found by `Entries`."""
