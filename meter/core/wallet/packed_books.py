"""Books as bytes. A quiet workspace, of which nothing is live, stays in memory like that until an input concerns it."""

from collections.abc import Callable, Iterator

import msgspec

from meter.core.wallet.billed_conversations import BilledConversation
from meter.core.wallet.book import Book
from meter.core.wallet.daily_usage import Usage, UsageKey
from meter.core.wallet.lots import Lot, Lots
from meter.core.wallet.wallet import Wallet
from schemas.ids import ID_BYTES


class _Packed(msgspec.Struct, array_like=True):
    """A book without names that can be derived. `commands`: of each its id and its digest, ID_BYTES each."""

    wallet: Wallet
    lots: list[Lot]
    commands: bytes
    conversations: list[BilledConversation]
    usage: list[tuple[str, int, Usage]]


_encode_into = msgspec.msgpack.Encoder().encode_into
_decode = msgspec.msgpack.Decoder(_Packed).decode

MayBePacked = Callable[[Book], bool]
"""Whether a book is packed at the checkpoint that has just written it. It must imply `can_be_packed`."""


def is_quiet(book: Book) -> bool:
    """Whether nothing of a workspace is live: only an input that names it, or the end of a grant, can change it."""
    has_live = book.conversations or book.usage or book.wallet.is_rebilling
    return not has_live and can_be_packed(book)


def can_be_packed(book: Book) -> bool:
    """Whether all of a book is in checkpoints and ledger updates already, so that its state is all there is to keep.

    A workspace that is held stays an object, because a policy looks for all that are.
    """
    return not (book.changed or book.is_touched or book.new_lots or book.unanswered or book.wallet.is_held)


def pack_book(book: Book) -> bytes:
    """Return a book's state as bytes: 100 to 300 for a workspace with one or two grants, and 32 more a command."""
    assert can_be_packed(book)
    wallet = book.wallet
    commands = bytes.fromhex("".join(part for each in wallet.commands.items() for part in each))
    assert len(commands) == 2 * ID_BYTES * len(wallet.commands)
    packed = _Packed(
        msgspec.structs.replace(wallet, workspace_id="", lots=Lots(), commands={}),
        list(wallet.lots.by_id.values()),
        commands,
        list(book.conversations.values()),
        [(*key, usage) for key, usage in book.usage.items()],
    )
    # What `encode` returns may be part of a larger piece of memory: a copy has the right size.
    buffer = bytearray()
    _encode_into(packed, buffer)
    return bytes(buffer)


def unpack_book(workspace_id: str, packed: bytes) -> Book:
    """Return an equal book: the same entries in the same order, and the same debit order."""
    found = _decode(packed)
    wallet = found.wallet
    wallet.workspace_id = workspace_id
    wallet.lots = Lots({lot.lot_id: lot for lot in found.lots})
    digests = [found.commands[at : at + ID_BYTES].hex() for at in range(0, len(found.commands), ID_BYTES)]
    wallet.commands = dict(zip(digests[::2], digests[1::2], strict=True))
    book = Book(wallet)
    book.conversations = {each.conversation_id: each for each in found.conversations}
    book.usage = {UsageKey(bot_id, day): usage for bot_id, day, usage in found.usage}
    return book


class PackedBooks:
    """The books that are packed, by workspace id. A workspace is either here or among the objects, never in both."""

    def __init__(self) -> None:
        self._packed: dict[str, bytes] = {}
        self._last_read: tuple[bytes, Book] | None = None

    def __len__(self) -> int:
        return len(self._packed)

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def put(self, book: Book) -> None:
        """Pack a book. The object must not be used any more."""
        self._packed[book.wallet.workspace_id] = pack_book(book)

    def remove(self, workspace_id: str) -> Book | None:
        """Remove a book, and return it as an object; None if it is not here."""
        packed = self._packed.pop(workspace_id, None)
        return None if packed is None else unpack_book(workspace_id, packed)

    def read(self, workspace_id: str) -> Book | None:
        """Return a book that must not be changed, and stays here; None if it is not here.

        Called for each entry of a book by turns, so the last one is kept, as long as its bytes are the same object.
        """
        packed = self._packed.get(workspace_id)
        if packed is None:
            return None
        if self._last_read is None or self._last_read[0] is not packed:
            self._last_read = packed, unpack_book(workspace_id, packed)
        return self._last_read[1]
