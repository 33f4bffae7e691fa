"""Outcomes of commands: those of the topic `outcomes` that are remembered, and requests that wait for theirs."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import msgspec

from meter.gateway.metrics import OUTCOME_BYTES, UNREADABLE
from schemas.formats import OUTCOME_FORMAT, refuse_newer_json
from schemas.outcomes import OutcomeRecord, decode_outcome
from schemas.topics import OUTCOMES
from schemas.versions import offset_of

MAX_BYTES: Final = 64 * 1024 * 1024
"""How much memory the remembered outcomes may take: of about 150,000 commands."""

_OWN_BYTES: Final = 300
"""What an outcome takes beside its texts."""

_TOOK_EFFECT: Final = ("done", "repeated")


class CommandKey(NamedTuple):
    """The identity of a command."""

    workspace_id: str
    source: str
    id: str


class Expected:
    """The outcomes of one command that have come since a request began to wait."""

    def __init__(self) -> None:
        self._came: list[OutcomeRecord] = []
        self._is_closed = False
        self._more = asyncio.Event()

    def add(self, outcome: OutcomeRecord) -> None:
        """Take an outcome of the command."""
        self._came.append(outcome)
        self._more.set()

    def close(self) -> None:
        """End the waiting, now or when it begins."""
        self._is_closed = True
        self._more.set()

    async def at(self, offset: int, wait_s: float) -> OutcomeRecord | None:
        """Return the outcome of the command at `offset` of wallet-inputs; None if none comes in time, or at a stop.

        Other outcomes of the same command are of other requests.
        """
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    for outcome in self._came:
                        if offset_of(outcome.version) == offset:
                            return outcome
                    if self._is_closed:
                        return None
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            return None


class Outcomes:
    """Remembers the outcome of each command, of the newest up to `most_bytes`."""

    def __init__(self, most_bytes: int = MAX_BYTES) -> None:
        self._most_bytes = most_bytes
        self._known: OrderedDict[CommandKey, OutcomeRecord] = OrderedDict()
        self._waiting: dict[CommandKey, list[Expected]] = {}
        self._bytes = 0
        self._is_closed = False

    def close(self) -> None:
        """End all waiting. Called when the gateway stops: then a client gets the address of its outcome instead."""
        self._is_closed = True
        for waiting in self._waiting.values():
            for expected in waiting:
                expected.close()

    def add(self, value: bytes | None, location: str) -> None:
        """Take a record of the topic. Raises NewerFormatError where only a newer version of the product can read it."""
        try:
            outcome = decode_outcome(value or b"")
        except (msgspec.MsgspecError, ValueError, RecursionError):
            refuse_newer_json(location, value, OUTCOME_FORMAT)
            UNREADABLE.labels(OUTCOMES.name).inc()
            return
        key = CommandKey(outcome.workspace_id, outcome.source, outcome.id)
        for expected in self._waiting.get(key, ()):
            expected.add(outcome)
        before = self._known.pop(key, None)
        if before is not None:
            self._bytes -= _size_bytes(before)
            # An id that took effect stays with it. A repeat, or other content under the id, does not change that.
            outcome = before if before.outcome in _TOOK_EFFECT else outcome
        self._known[key] = outcome
        self._bytes += _size_bytes(outcome)
        while self._bytes > self._most_bytes:
            _, forgotten = self._known.popitem(last=False)
            self._bytes -= _size_bytes(forgotten)
        OUTCOME_BYTES.set(self._bytes)

    def get(self, key: CommandKey) -> OutcomeRecord | None:
        """Return the outcome of a command: the one with which it took effect, else the newest; None if not known."""
        return self._known.get(key)

    @contextmanager
    def expecting(self, key: CommandKey) -> Iterator[Expected]:
        """Collect the outcomes of a command during the block, which begins before the command is written."""
        expected = Expected()
        if self._is_closed:
            expected.close()
        self._waiting.setdefault(key, []).append(expected)
        try:
            yield expected
        finally:
            waiting = self._waiting[key]
            waiting.remove(expected)
            if not waiting:
                del self._waiting[key]


def _size_bytes(outcome: OutcomeRecord) -> int:
    texts = (outcome.workspace_id, outcome.source, outcome.id, outcome.code, outcome.reason)
    return _OWN_BYTES + sum(4 * len(text) if not text.isascii() else len(text) for text in texts)
