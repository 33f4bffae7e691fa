"""A record of which every worker dies: by an exception, or at once and without a word."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from meter.kafka.fetched import Fetched
from meter.stage.fold import Fold, Output
from tests.feeds.lines import is_command, time_of
from tests.oracle.oracle import Result, meter
from tests.oracle.reading import DeadLetter
from tests.simulation.process import Process

SHARE = 0.25
"""Of all lives, those in which one record is poison."""


class PoisonError(Exception):
    """What the fold raises at the poisonous record."""


class Poison:
    """At most one line of a feed, and how workers die of it."""

    def __init__(self, rng: Random, lines: list[bytes]) -> None:
        candidates = _harmless(lines) if rng.random() < SHARE else []
        self.line = lines[rng.choice(candidates)] if candidates else None
        self._is_silent = rng.random() < 0.5
        self.deaths = 0

    def strike(self, process: Process) -> None:
        """End the process. Raises PoisonError if it has time for an exception."""
        self.deaths += 1
        if not self._is_silent:
            raise PoisonError("poison")
        process.kill()

    def expected(self, lines: list[bytes], now_ms: int) -> tuple[Result, list[bytes]]:
        """What the feed comes to, and its lines: the poisonous one is one dead letter, and else as if it never came."""
        if self.line is None:
            return meter(lines, now_ms), lines
        rest = [text for text in lines if text != self.line]
        result = meter(rest, now_ms)
        result.dead_letters.append(DeadLetter(len(rest), "internal", "value"))
        return result, [*rest, self.line]


def _harmless(lines: list[bytes]) -> list[int]:
    """Valid lines that come once, and whose time nothing depends on: another line has it or a newer one."""
    once = {text for text, number in Counter(lines).items() if number == 1}
    refused = {letter.line for letter in meter(lines, 2**50).dead_letters}
    found: list[int] = []
    newest_ms = 0
    for number, text in enumerate(lines):
        at_ms = None if number in refused else time_of(text)
        if at_ms is None:
            continue
        following = next((time_of(each) for each in lines[number + 1 :] if not is_command(each)), None) or 0
        if text in once and (at_ms <= newest_ms or at_ms <= following):
            found.append(number)
        if not is_command(text):
            newest_ms = max(newest_ms, at_ms)
    return found


class Poisoned:
    """A fold that dies of a record. All else is the fold's own."""

    def __init__(self, fold: Fold, poison: Poison, process: Process) -> None:
        self._fold = fold
        self._poison = poison
        self._process = process

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fold, name)

    def process(self, records: Sequence[Fetched]) -> Iterator[Output]:
        """As `Fold` has it. It has half changed when it dies."""
        for at, record in enumerate(records):
            if record.value == self._poison.line:
                list(self._fold.process(records[:at])) if at else None
                self._poison.strike(self._process)
                return
        yield from self._fold.process(records)


def crashing(process: Process, work: Callable[..., Any]) -> Callable[..., Any]:
    """`work` as a worker does it: it ends the process when it raises, and is never back."""

    async def instead(*given: Any) -> None:
        try:
            await work(*given)
        except PoisonError:
            process.kill()
            await process.standing()

    return instead
