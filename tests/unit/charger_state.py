"""A charger by hand, with the entries that its checkpoints have written."""

from collections.abc import Iterator
from typing import Any

import msgspec

from meter.charger.charger import Charger
from meter.charger.state import Key, encode, encode_key
from meter.core.policy import Policy
from meter.core.wallet.book import Book
from meter.core.wallet.packed_books import MayBePacked, is_quiet
from meter.stage.blocks import pack, unpack
from schemas.entitlements import EntitlementRecord, decode_entitlement
from schemas.metered import WalletInput, decode_wallet_input
from schemas.payments import PaymentRequest, decode_payment_request
from schemas.topics import ENTITLEMENTS, PAYMENT_REQUESTS, WALLET_INPUTS
from tests.bench_wallet.records import stored
from tests.oracle.build import NOW
from tests.packed_records import listed


class State:
    """A charger of partition 0, told inputs and saved. `entries` is what a restore would find."""

    may_be_packed: MayBePacked = staticmethod(is_quiet)
    """Which books a checkpoint packs."""

    def __init__(self, policy: Policy | None = None) -> None:
        self._policy = policy or Policy()
        self.charger = Charger(self._policy, 0, may_be_packed=self.may_be_packed)
        self.charger.finish(None, -1)
        self.entries: dict[bytes, bytes] = {}
        self.requests: list[PaymentRequest] = []
        self.entitlements: list[EntitlementRecord] = []
        self._due: list[WalletInput] = []
        self._offset = 0
        self.largest_bytes = 0
        """The value of the largest record that was written so far."""

    @classmethod
    def of(cls, entries: dict[bytes, bytes], mark: bytes, policy: Policy | None = None) -> "State":
        """A charger restored from entries."""
        state = cls.__new__(cls)
        state._policy = policy or Policy()
        state.charger, state._due, state._offset, state.largest_bytes = _charger(state), [], 0, 0
        state.entries, state.requests, state.entitlements = dict(entries), [], []
        for block in pack(entries.items()):
            state.charger.load(0, block)
        state.charger.finish(mark, -1)
        return state

    def _books(self) -> Iterator[tuple[str, Book]]:
        """All books, packed ones too."""
        wallets = self.charger._wallets
        for name in wallets.names():
            book = wallets.read(name)
            assert book is not None
            yield name, book

    def tell(self, *inputs: WalletInput) -> None:
        """Process inputs as one batch. What it orders for itself waits for `finish_slices`."""
        records = [stored(each, self._offset + number, NOW) for number, each in enumerate(inputs)]
        self._offset += len(records)
        for output in self.charger.process(records):
            written = [record.value or b"" for record in listed(output.records)]
            self.largest_bytes = max([self.largest_bytes, *map(len, written)])
            if output.topic == WALLET_INPUTS:
                self._due += map(decode_wallet_input, written)
            if output.topic == PAYMENT_REQUESTS:
                self.requests += map(decode_payment_request, written)
            if output.topic == ENTITLEMENTS:
                self.entitlements += map(decode_entitlement, written)

    def finish_slices(self) -> None:
        """Process what the charger has ordered for itself, until it orders nothing."""
        while self._due:
            due, self._due = self._due, []
            self.tell(*due)

    def do_slice(self) -> None:
        """Process the oldest order alone, if there is one."""
        if self._due:
            self.tell(self._due.pop(0))

    def restarted(self) -> "State":
        """One restored from the last checkpoint, at the same place in the log."""
        state = self.of(self.entries, self.charger.mark(), self._policy)
        state._due, state._offset = list(self._due), self._offset
        return state

    def save(self) -> int:
        """Make a checkpoint. Returns the bytes of the largest entry that there is now."""
        for key, value in self._changed():
            if value is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = value
        return max(len(key) + len(value) for key, value in self.entries.items())

    def changed_bytes(self) -> int:
        """Make a checkpoint that is not kept. Returns its bytes."""
        return sum(len(key) + len(value or b"") for key, value in self._changed())

    def _changed(self) -> list[tuple[bytes, bytes | None]]:
        return [entry for block in self.charger.changed() for entry in unpack(block)]

    def known(self) -> dict[str, Any]:
        """What the charger knows of each workspace."""
        return {name: _builtins(book) for name, book in self._books()}

    def restored(self) -> dict[str, Any]:
        """What a charger would know that is restored from the entries; those of now, if nothing was saved since."""
        self.save()
        return State.of(self.entries, self.charger.mark()).known()

    def in_format_1(self) -> dict[bytes, bytes]:
        """The entries as a version of state format 1 would have written them."""
        found: dict[bytes, bytes] = {}
        for name, book in self._books():
            wallet = book.wallet
            found[encode_key(Key("wallet", name))] = encode(
                msgspec.structs.replace(wallet, lots=type(wallet.lots)(), bots={}, commands={})
            )
            for kind, each in (("lot", wallet.lots.by_id), ("bot", wallet.bots), ("command", wallet.commands)):
                found |= {encode_key(Key(kind, name, part)): encode(value) for part, value in each.items()}
            found |= {encode_key(Key("conversation", name, part)): encode(v) for part, v in book.conversations.items()}
            found |= {encode_key(Key("usage", name, *day)): encode(usage) for day, usage in book.usage.items()}
        return found


def _charger(state: State) -> Charger:
    return Charger(state._policy, 0, may_be_packed=state.may_be_packed)


def _builtins(book: Book) -> dict[str, Any]:
    found: dict[str, Any] = _named(
        {"wallet": book.wallet, "conversations": book.conversations, "usage": sorted(book.usage.items(), key=str)}
    )
    return found


def _named(value: Any) -> Any:
    """Structs as dicts by field name, in any form of their codec."""
    if isinstance(value, msgspec.Struct):
        return {field: _named(getattr(value, field)) for field in value.__struct_fields__}
    if isinstance(value, dict):
        return {key: _named(each) for key, each in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [_named(each) for each in value]
    return value
