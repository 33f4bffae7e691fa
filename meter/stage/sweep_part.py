"""The part of a sweep that one checkpoint writes."""

from collections.abc import Iterator

from meter.stage.blocks import BLOCK_BYTES
from meter.stage.fold import State


class SweepPart:
    """One checkpoint's part of a sweep: about `size_bytes`, or the rest of the sweep if that is less."""

    def __init__(self, state: State, size_bytes: int) -> None:
        self._state = state
        self._left_bytes = size_bytes
        self.is_over = False

    def blocks(self) -> Iterator[bytes]:
        """Yield the blocks. `is_over` is right once the last one was asked for."""
        while self._left_bytes > 0 and not self.is_over:
            block, self.is_over = self._state.sweep(min(self._left_bytes, BLOCK_BYTES))
            self._left_bytes -= max(len(block), 1)  # An empty block must not keep this loop going.
            if block:
                yield block
