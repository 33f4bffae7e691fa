"""The charger's checkpoint format, in MessagePack: keys, values and the mark; and restoring the books from them."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from meter.charger.earlier_format import adopt_lapses, adopt_terms, adopt_units
from meter.charger.unit_chunks import units_of
from meter.core.policy import PolicyInForce
from meter.core.wallet.billed_conversations import BilledConversation, Unit
from meter.core.wallet.book import Book
from meter.core.wallet.daily_usage import Usage, UsageKey
from meter.core.wallet.held import Held
from meter.core.wallet.lots import Lapse, Lot
from meter.core.wallet.plan_terms import Term
from meter.core.wallet.purchases import Method, Order, Refund, Scope
from meter.core.wallet.source import Source
from meter.core.wallet.wallet import Bot, Wallet


class Mark(msgspec.Struct, array_like=True):
    """The mark of a checkpoint.

    `source`: what is known of the partition of chat-events with the same number. `refused`: how many inputs of this
    partition of wallet-inputs were refused so far. `in_force`: the policy. `held`: how far what was held is charged.
    """

    source: Source = msgspec.field(default_factory=Source)
    refused: int = 0
    in_force: PolicyInForce | None = None
    held: Held = msgspec.field(default_factory=Held)


class Key(NamedTuple):
    """The key of an entry. `name` and `day` depend on its kind.

    wallet: none. lot, bot, command, order, method, refund, conversation: its id. scope: its bot, or "" for the credit
    that all bots share. usage: the bot and the UTC day. term: the bot, or "" for the
    workspace, and the time from which its terms are in force. lot_lapses, units: the lot or the conversation, and the
    number of the chunk.
    """

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
_decode_lapses = msgspec.msgpack.Decoder(list[Lapse]).decode
_decode_bot = msgspec.msgpack.Decoder(Bot).decode
_decode_terms = msgspec.msgpack.Decoder(list[Term]).decode
_decode_command = msgspec.msgpack.Decoder(str).decode
_decode_order = msgspec.msgpack.Decoder(Order).decode
_decode_method = msgspec.msgpack.Decoder(Method).decode
_decode_scope = msgspec.msgpack.Decoder(Scope).decode
_decode_refund = msgspec.msgpack.Decoder(Refund).decode
_decode_conversation = msgspec.msgpack.Decoder(BilledConversation).decode
_decode_units = msgspec.msgpack.Decoder(list[Unit]).decode
_decode_usage = msgspec.msgpack.Decoder(Usage).decode


def restored_books(records: dict[bytes, bytes]) -> Iterator[Book]:
    """Yield the books of a checkpoint, one at a time, from its entries, given as key and value; `records` is emptied.

    Entries are put into the book of their wallet in the order of their keys: a lot before its lapses, a bot before its
    terms, chunks by number. Raises ValueError where an entry cannot be decoded, KeyError where it has no wallet.
    """
    by_workspace: dict[str, list[bytes]] = {}
    for key in records:
        by_workspace.setdefault(decode_key(key).workspace_id, []).append(key)
    while by_workspace:
        workspace_id, keys = by_workspace.popitem()
        entries = {decode_key(key): records.pop(key) for key in keys}
        book = _book(entries.pop(Key("wallet", workspace_id)))
        _fill(book, entries)
        yield book


def _fill(book: Book, entries: dict[Key, bytes]) -> None:
    rows: defaultdict[str, list[Unit]] = defaultdict(list)
    for key, value in sorted(entries.items()):
        if key.kind == "units":
            rows[key.name] += _decode_units(value)
        else:
            _put(book, key, value)
    for conversation_id, some in rows.items():
        book.conversations[conversation_id].units = units_of(some)


def _book(value: bytes) -> Book:
    book = Book(decode_wallet(value))
    adopt_terms(book, "", book.wallet.plan)
    return book


def _put(book: Book, key: Key, value: bytes) -> None:
    wallet = book.wallet
    match key.kind:
        case "lot":
            lot = wallet.lots.by_id[key.name] = _decode_lot(value)
            adopt_lapses(book, lot)
        case "lot_lapses":
            wallet.lots.by_id[key.name].lapses += _decode_lapses(value)
        case "bot":
            bot = wallet.bots[key.name] = _decode_bot(value)
            adopt_terms(book, key.name, bot.plan)
        case "term":
            timeline = wallet.bots[key.name].plan if key.name else wallet.plan
            for term in _decode_terms(value):
                timeline.add(term)
        case "command":
            wallet.commands[key.name] = _decode_command(value)
        case "order":
            wallet.purchases.orders[key.name] = _decode_order(value)
        case "method":
            wallet.purchases.methods[key.name] = _decode_method(value)
        case "scope":
            wallet.purchases.scopes[key.name] = _decode_scope(value)
        case "refund":
            wallet.purchases.refunds[key.name] = _decode_refund(value)
        case "conversation":
            conversation = book.conversations[key.name] = _decode_conversation(value)
            adopt_units(book, conversation)
        case _:
            book.usage[UsageKey(key.name, key.day)] = _decode_usage(value)


def count_lost(mark: bytes) -> bytes:
    """Return a mark with one refused input more: a range of inputs was lost, and has one dead letter."""
    saved = decode_mark(mark) if mark else Mark()
    return encode(msgspec.structs.replace(saved, refused=saved.refused + 1))
