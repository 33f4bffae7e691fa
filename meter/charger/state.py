"""The charger's checkpoint format, in MessagePack: keys, values and the mark; and restoring the books from them."""

import msgspec

from meter.core.policy import PolicyInForce
from meter.core.wallet.billed_conversations import BilledConversation
from meter.core.wallet.book import Book, Wallet
from meter.core.wallet.daily_usage import Usage, UsageKey
from meter.core.wallet.source import Source


class Mark(msgspec.Struct, array_like=True):
    """The mark of a checkpoint.

    `source`: what is known of the partition of chat-events with the same number. `refused`: how many inputs of this
    partition of wallet-inputs were refused so far. `in_force`: the policy.
    """

    source: Source = msgspec.field(default_factory=Source)
    refused: int = 0
    in_force: PolicyInForce | None = None


encode = msgspec.msgpack.Encoder().encode
decode_mark = msgspec.msgpack.Decoder(Mark).decode
decode_key = msgspec.msgpack.Decoder(tuple[str, str, str, int]).decode
_decode_wallet = msgspec.msgpack.Decoder(Wallet).decode
_decode_conversation = msgspec.msgpack.Decoder(BilledConversation).decode
_decode_usage = msgspec.msgpack.Decoder(Usage).decode


def wallet_key(workspace_id: str) -> bytes:
    """The key of a workspace's wallet."""
    return encode(("wallet", workspace_id, "", 0))


def conversation_key(workspace_id: str, conversation_id: str) -> bytes:
    """The key of one billed conversation."""
    return encode(("conversation", workspace_id, conversation_id, 0))


def usage_key(workspace_id: str, key: UsageKey) -> bytes:
    """The key of one bot's usage on one UTC day."""
    return encode(("usage", workspace_id, key.bot_id, key.day))


def restore_books(records: dict[bytes, bytes]) -> dict[str, Book]:
    """Build the books from a checkpoint's entries, given as key and value, by workspace id.

    Wallets come first, because conversations and usage are put into the book of their wallet. Raises ValueError where
    an entry cannot be decoded, KeyError where it has no wallet.
    """
    keyed = sorted((decode_key(key), value) for key, value in records.items())
    books = {key[1]: Book(_decode_wallet(value)) for key, value in keyed if key[0] == "wallet"}
    for (kind, workspace_id, name, day), value in keyed:
        if kind == "conversation":
            books[workspace_id].conversations[name] = _decode_conversation(value)
        elif kind == "usage":
            books[workspace_id].usage[UsageKey(name, day)] = _decode_usage(value)
    return books


def count_lost(mark: bytes) -> bytes:
    """Return a mark with one refused input more: a range of inputs was lost, and has one dead letter."""
    saved = decode_mark(mark) if mark else Mark()
    return encode(msgspec.structs.replace(saved, refused=saved.refused + 1))
