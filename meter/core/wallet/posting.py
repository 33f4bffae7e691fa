"""The subject of a ledger entry."""

import msgspec

from schemas.instants import day_of


class Posting(msgspec.Struct, frozen=True, gc=False):
    """The subject of an entry: the bot, the unit, its conversation (or ""), the event time in ms, and the UTC day.

    The day is the conversation's at the time of the charge, also for its reversal; without a conversation that of the
    event time.
    """

    bot_id: str
    unit_id: str
    conversation_id: str
    occurred_ms: int
    day: int

    @classmethod
    def of_lot(cls, bot_id: str, at_ms: int) -> "Posting":
        """Return the subject of an entry that is about no unit."""
        return cls(bot_id, "", "", at_ms, day_of(at_ms))
