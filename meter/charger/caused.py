"""Records that the wallets have caused beside the ledger: orders to their own partition, and payments to request."""

import msgspec

from meter.core.wallet.wallets import Wallets
from meter.kafka.records import Record
from meter.stage.fold import Output
from schemas.metered import HeldSlice
from schemas.payments import encode_payment_request
from schemas.topics import PAYMENT_REQUESTS, WALLET_INPUTS

_encode_json = msgspec.json.Encoder().encode


def payment_requests(wallets: Wallets) -> Output:
    """Return the payments that the last inputs ask for. A replay of the inputs gives the same records."""
    requests = wallets.take_payment_requests()
    return Output(
        PAYMENT_REQUESTS, [Record(each.workspace_id.encode(), encode_payment_request(each)) for each in requests]
    )


def due_slices(wallets: Wallets, partition: int) -> Output:
    """Return the inputs with which a partition goes on charging conversations again, each read back as an input."""
    due = [
        Record(None if isinstance(each, HeldSlice) else each.workspace_id.encode(), _encode_json(each))
        for each in wallets.take_due_slices()
    ]
    return Output(WALLET_INPUTS, due, partition)
