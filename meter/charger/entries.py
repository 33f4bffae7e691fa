"""The entries of a checkpoint of the charger: which there are of a book, which changed, and the value of each.

Lots, bots and commands are entries of their own and not part of the wallet's, so that an entry stays small and a
checkpoint writes only those that changed, however many a workspace has.
"""

from collections.abc import Callable, Iterator, Mapping

from meter.charger.state import Key, decode_key, encode, encode_key
from meter.core.wallet.book import Book
from meter.core.wallet.daily_usage import UsageKey
from meter.core.wallet.wallet import without_parts
from meter.stage.blocks import Entry


def keys_of(workspace_id: str, book: Book) -> Iterator[bytes]:
    """The keys of all entries of a book."""
    wallet = book.wallet
    yield encode_key(Key("wallet", workspace_id))
    yield from (encode_key(Key("lot", workspace_id, lot_id)) for lot_id in wallet.lots.by_id)
    yield from (encode_key(Key("bot", workspace_id, bot_id)) for bot_id in wallet.bots)
    yield from (encode_key(Key("command", workspace_id, command)) for command in wallet.commands)
    yield from (encode_key(Key("conversation", workspace_id, each)) for each in book.conversations)
    yield from (encode_key(Key("usage", workspace_id, day.bot_id, day.day)) for day in book.usage)


def changed_entries(books: Mapping[str, Book]) -> Iterator[Entry]:
    """The entries that were added, changed or ended since the last call, of the books that changed."""
    for workspace_id, book in books.items():
        touched = book.take_touched()
        keys = [Key("wallet", workspace_id)]
        keys += [Key("lot", workspace_id, lot_id) for lot_id in touched.lots]
        keys += [Key("bot", workspace_id, bot_id) for bot_id in touched.bots]
        keys += [Key("command", workspace_id, command) for command in touched.commands]
        keys += [Key("conversation", workspace_id, each) for each in touched.conversations]
        keys += [Key("usage", workspace_id, day.bot_id, day.day) for day in touched.usage]
        for key in keys:
            yield encode_key(key), _value(book, key)


def value_of(read: Callable[[str], Book | None], key: bytes) -> bytes | None:
    """The value of an entry; None if it has ended. `read` returns a workspace's book."""
    decoded = decode_key(key)
    book = read(decoded.workspace_id)
    assert book is not None, "a book is never removed"
    return _value(book, decoded)


def _value(book: Book, key: Key) -> bytes | None:
    found: object
    match key.kind:
        case "wallet":
            found = without_parts(book.wallet)
        case "lot":
            found = book.wallet.lots.by_id.get(key.name)
        case "bot":
            found = book.wallet.bots.get(key.name)
        case "command":
            found = book.wallet.commands.get(key.name)
        case "conversation":
            found = book.conversations.get(key.name)
        case _:
            found = book.usage.get(UsageKey(key.name, key.day))
    return None if found is None else encode(found)
