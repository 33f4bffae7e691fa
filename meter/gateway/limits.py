"""Limits of the gateway: a bucket of requests for each key, and the bytes of all requests that are held at once."""

import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from math import ceil
from typing import Final, NamedTuple

from meter.gateway.problems import ProblemError, unavailable

MAX_HELD_BYTES: Final = 64 * 1024 * 1024
"""How many bytes of bodies may be in memory at once, over all requests."""

BURST: Final = 2
"""How many seconds of its rate a key may use at once."""


class _Bucket(NamedTuple):
    tokens: float
    at_s: float


class Rates:
    """A bucket of tokens for each key: a request takes one, and `rate` come back a second, up to BURST times as many.

    The buckets are as many as there are keys.
    """

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def spend(self, key_id: str) -> None:
        """Take a token of a key. Raises ProblemError with 429 and when to try again if there is none."""
        now_s = self._clock()
        full = float(self._rate * BURST)
        bucket = self._buckets.get(key_id, _Bucket(full, now_s))
        tokens = min(full, bucket.tokens + (now_s - bucket.at_s) * self._rate)
        if tokens < 1:
            self._buckets[key_id] = _Bucket(tokens, now_s)
            wait_s = ceil((1 - tokens) / self._rate)
            raise ProblemError(
                429,
                "too_many_requests",
                f"the key may make {self._rate} requests a second; put several events into one request",
                headers={"Retry-After": str(wait_s)},
            )
        self._buckets[key_id] = _Bucket(tokens - 1, now_s)

    def forget_all_except(self, known: Container[str]) -> None:
        """Forget the buckets of keys that are gone."""
        self._buckets = {key_id: bucket for key_id, bucket in self._buckets.items() if key_id in known}


class HeldBytes:
    """Counts the bytes of bodies in memory, so that many clients together cannot fill it."""

    def __init__(self, most_bytes: int = MAX_HELD_BYTES) -> None:
        self._most_bytes = most_bytes
        self.held_bytes = 0

    @contextmanager
    def holding(self) -> Iterator[Callable[[int], None]]:
        """Yield a function that counts further bytes of one request, which raises ProblemError with 503 if too many.

        They count until the block ends.
        """
        own_bytes = 0

        def add(count: int) -> None:
            nonlocal own_bytes
            if self.held_bytes + count > self._most_bytes:
                raise unavailable("busy", "the gateway holds too many requests now; try again")
            own_bytes += count
            self.held_bytes += count

        try:
            yield add
        finally:
            self.held_bytes -= own_bytes
