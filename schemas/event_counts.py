"""What the meter counts beside its work, so that somebody else can see whether it adds up (docs/adr/0009).

A comparison compares two counts of the same records, by the sessionizer that read them and by one partition of wallets that
was told of them, both as of the same offset of chat-events.
"""

import msgspec


class EventCounts(msgspec.Struct, frozen=True, array_like=True):
    """What became of the records of one partition of chat-events, from the first one up to an offset.

    Each record is one of messages (taken into a conversation), occurrences, duplicates (repeats and conflicts), refused
    and ticks. `closed_messages` are those that lie in conversations which are closed as of that offset.
    """

    events: int = 0
    messages: int = 0
    closed_messages: int = 0
    occurrences: int = 0
    duplicates: int = 0
    refused: int = 0
    ticks: int = 0


class CountComparison(msgspec.Struct, frozen=True, kw_only=True):
    """`counts` are the sessionizer's as of `origin_offset` of chat-events. The rest is what partition
    `wallet_partition` of wallet-inputs has taken of the same records: `messages` of conversations that are closed,
    `occurrences`.

    `version` is the wallet-inputs offset that the comparison was made at, `refused_inputs` what was refused of them up to
    it, `workspaces` how many have begun there by then.
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
