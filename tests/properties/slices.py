"""Slices of few conversations, so that small feeds have many of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch


@contextmanager
def slices_of(conversations: int, entries: int = 10**9) -> Iterator[None]:
    """Slices so small that a few conversations are many of them."""
    with (
        patch("meter.core.wallet.rebilling.SLICE_CONVERSATIONS", conversations),
        patch("meter.core.wallet.rebilling.SLICE_ENTRIES", entries),
        patch("meter.core.wallet.rebilling.LOOKED_AT", 3),
    ):
        yield
