"""The charger's checkpoint format, in MessagePack: keys, values and the mark; and restoring the books from them."""

from typing import NamedTuple

import msgspec

from meter.core.policy import PolicyInForce
from meter.core.wallet.billed_conversations import BilledConversation
from meter.core.wallet.book import Book
from meter.core.wallet.daily_usage import Usage, UsageKey
from meter.core.wallet.lots import Lot
from meter.core.wallet.source import Source
from meter.core.wallet.wallet import Bot, Wallet


class Mark(msgspec.Struct, array_like=True):
    """The mark of a checkpoint.

    `source`: what is known of the partition of chat-events with the same number. `refused`: how many inputs of this
    partition of wallet-inputs were refused so far. `in_force`: the policy.
    """

    source: Source = msgspec.field(default_factory=Source)
    refused: int = 0
    in_force: PolicyInForce | None = None


class Key(NamedTuple):
    """The key of an entry: wallet, lot, bot, command, conversation, or usage of one bot on one UTC day."""

    kind: str
    workspace_id: str
    name: str = ""
    day: int = 0


encode = msgspec.msgpack.Encoder().encode
encode_key = encode
decode_mark = msgspec.msgpack.Decoder(Mark).decode
decode_key = msgspec.msgpack.Decoder(Key).decode
decode_wallet = msgspec.msgpack.Decoder(Wallet).decode
_decode_lot = msgspec.msgpack.Decoder(Lot).decode
_decode_bot = msgspec.msgpack.Decoder(Bot).decode
_decode_command = msgspec.msgpack.Decoder(str).decode
_decode_conversation = msgspec.msgpack.Decoder(BilledConversation).decode
_decode_usage = msgspec.msgpack.Decoder(Usage).decode


def restore_books(records: dict[bytes, bytes]) -> dict[str, Book]:
    """Build the books from a checkpoint's entries, given as key and value, by workspace id.

    Wallets come first, because all else is put into the book of its wallet. Raises ValueError where an entry cannot be
    decoded, KeyError where it has no wallet.
    """
    keyed = sorted((decode_key(key), value) for key, value in records.items())
    books = {key.workspace_id: Book(decode_wallet(value)) for key, value in keyed if key.kind == "wallet"}
    for key, value in keyed:
        if key.kind != "wallet":
            _put(books[key.workspace_id], key, value)
    return books


def _put(book: Book, key: Key, value: bytes) -> None:
    match key.kind:
        case "lot":
            book.wallet.lots.by_id[key.name] = _decode_lot(value)
        case "bot":
            book.wallet.bots[key.name] = _decode_bot(value)
        case "command":
            book.wallet.commands[key.name] = _decode_command(value)
        case "conversation":
            book.conversations[key.name] = _decode_conversation(value)
        case _:
            book.usage[UsageKey(key.name, key.day)] = _decode_usage(value)


def count_lost(mark: bytes) -> bytes:
    """Return a mark with one refused input more: a range of inputs was lost, and has one dead letter."""
    saved = decode_mark(mark) if mark else Mark()
    return encode(msgspec.structs.replace(saved, refused=saved.refused + 1))
