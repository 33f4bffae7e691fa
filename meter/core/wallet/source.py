"""The figures that wallets keep of one partition of chat-events."""

import msgspec


class Source(msgspec.Struct, array_like=True):
    """The figures that wallets keep of one partition of chat-events.

    `safe_offset` and `watermark_ms` come from its safe points. `recent` holds the offsets of occurrences above the safe
    one, `newest_offset` is the highest of any update. `messages` (of closed conversations) and `occurrences` are
    totals since the beginning.
    """

    safe_offset: int = -1
    watermark_ms: int = 0
    recent: set[int] = set()
    newest_offset: int = -1
    messages: int = 0
    occurrences: int = 0
