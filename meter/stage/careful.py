"""Careful processing: how many records at a time, so that the one of which workers die is found soon."""

from typing import Final, NamedTuple

SINGLES: Final = 32
"""So many records are processed one at a time; then the number doubles after each success."""

PARTS: Final = 32
"""Offsets among which an owner has ended are processed in so many parts, so that the next end names fewer."""


class Suspects(NamedTuple):
    """The offsets from `first` to `last`: an owner ended while it processed them."""

    first: int
    last: int

    @property
    def part(self) -> int:
        """How many of them may be processed at a time."""
        return -(-(self.last - self.first + 1) // PARTS)


class Careful:
    """The state of careful processing of one partition: what to process next, at most."""

    def __init__(self, suspects: list[Suspects]) -> None:
        self._suspects = suspects
        self._singles = 0
        self._offsets_count = 1
        self._until = max((each.last for each in suspects), default=-1)
        self._has_read = False

    def last_of_slice(self, offset: int) -> int:
        """Return the last offset that may be processed together with `offset`."""
        last = offset + self._offsets_count - 1
        for suspects in self._suspects:
            if suspects.first <= offset <= suspects.last:
                last = min(last, offset + suspects.part - 1)
            elif offset < suspects.first <= last:
                last = suspects.first - 1
        return last

    def succeed(self) -> None:
        """Note that a slice was processed and saved."""
        self._singles += 1
        if self._singles >= SINGLES:
            self._offsets_count *= 2

    def read_until(self, end: int) -> None:
        """Note that the log has records up to `end` - 1: an earlier owner may have ended at any of them.

        Only the first call counts. What was appended later, no earlier owner has read.
        """
        if not self._has_read:
            self._has_read, self._until = True, max(self._until, end - 1)

    def is_over(self, next_offset: int) -> bool:
        """Whether all records are passed at which an owner may have ended."""
        return next_offset > self._until
