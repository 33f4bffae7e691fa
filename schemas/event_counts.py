"""Counts of events that the meter keeps, so that the aggregator can check that nothing was lost (docs/adr/0009).

A comparison holds two counts of the same chat events as of the same offset. One is the sessionizer's, which read the
events. The other is that of one partition of wallets, which processed the metered updates.
"""

from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class EventCounts(msgspec.Struct, frozen=True, array_like=True):
    """Outcomes of the records of one partition of chat-events, counted from the first record up to an offset.

    `events` is the sum of `messages` (added to a conversation), `occurrences`, `duplicates` (repeats and conflicts),
    `refused`, `ticks` (ticks and policy records) and `moved`: misplaced records, which were written again to their
    workspace's partition and count there too. `closed_messages` counts the messages of conversations that are closed as
    of that offset.
    """

    events: Count = 0
    messages: Count = 0
    closed_messages: Count = 0
    occurrences: Count = 0
    duplicates: Count = 0
    refused: Count = 0
    ticks: Count = 0
    moved: Count = 0


class CountComparison(msgspec.Struct, frozen=True, kw_only=True):
    """The counts of both stages for partition `origin_partition` of chat-events as of `origin_offset`.

    `counts` are the sessionizer's. `messages` (of closed conversations) and `occurrences` are what partition
    `wallet_partition` of wallet-inputs, which has the same number, has processed of the same events. They must equal
    those in `counts`.

    `version` is the wallet-inputs offset of the safe point that the comparison was made at. `refused_inputs` and
    `workspaces` are totals of that wallet partition up to `version`: inputs refused, and workspaces begun.
    """

    origin_partition: int
    origin_offset: int
    wallet_partition: int
    version: int
    counts: EventCounts
    messages: int
    occurrences: int
    refused_inputs: int
    workspaces: int


encode_comparison = msgspec.json.Encoder().encode
decode_comparison = msgspec.json.Decoder(CountComparison).decode
"""bytes -> CountComparison. Raises msgspec.MsgspecError, UnicodeDecodeError, RecursionError or ValueError."""
