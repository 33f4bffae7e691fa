"""The arithmetic: from runs to medians, ratios and costs, and the file that keeps them."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

import msgspec

from tests.bench.machine import Machine
from tests.bench.measured import MIB, Measured
from tests.bench.roster import RAW, STREAMS


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One contender in one round over one feed."""

    keys: int
    round: int
    contender: str
    is_whole: bool
    """Whether it took the whole feed, or what it could within its time."""
    measured: Measured

    @property
    def events_a_s(self) -> float:
        """Events a second, wall time."""
        return self.measured.events / self.measured.wall_s

    @property
    def cpu_s_a_million(self) -> float:
        """CPU-seconds for a million events."""
        return self.measured.cpu_s * 1e6 / self.measured.events

    @property
    def bytes_a_key(self) -> float:
        """Memory that the run added, by key that it has met: so many of uniform keys as chance lets it meet."""
        taken = self.measured.warming + self.measured.events
        met = self.keys * (1 - (1 - 1 / self.keys) ** taken)
        return (self.measured.peak_bytes - self.measured.start_bytes) / met


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What one contender came to over one feed: medians of its rounds."""

    contender: str
    events: int
    is_whole: bool
    run_s: float
    events_a_s: float
    slowest_a_s: float
    fastest_a_s: float
    ratio: float | None
    """Events a second by those of RAW in the same round."""
    cpu_s_a_million: float
    a_cpu_s_by_streams: float | None
    """Events a CPU-second by those of Kafka Streams in the same round."""
    peak_mib: float
    bytes_a_key: float
    announced_a_event: float


class Feeding(msgspec.Struct, frozen=True, kw_only=True):
    """What the runs of one number of keys have read."""

    keys: int
    events: int
    conversations: int
    bytes_a_event: float
    rounds: int


class Results(msgspec.Struct, kw_only=True):
    """One bench."""

    machine: Machine
    broker: str
    is_quick: bool
    feeds: list[Feeding]
    absent: dict[str, str]
    """Who could not take part, and why."""
    runs: list[Run]

    def lines(self, keys: int) -> list[Line]:
        """A line a contender, in the order in which they ran."""
        found: defaultdict[str, list[Run]] = defaultdict(list)
        for run in self.runs:
            if run.keys == keys:
                found[run.contender].append(run)
        beside = {(run.round, run.contender): run for run in self.runs if run.keys == keys}
        return [_line(runs, beside) for runs in found.values()]

    def write(self, out: Path) -> None:
        """Write it as JSON: medians by keys and contender for those who compare, and every run."""
        lines = {str(feed.keys): self.lines(feed.keys) for feed in self.feeds}

        def table(value: Callable[[Line], float | None]) -> dict[str, dict[str, float | None]]:
            return {keys: {line.contender: value(line) for line in found} for keys, found in lines.items()}

        content = {
            "ratios": table(lambda line: line.ratio),
            "events_per_s": table(lambda line: line.events_a_s),
            "cpu_s_per_million": table(lambda line: line.cpu_s_a_million),
            "per_cpu_s_by_streams": table(lambda line: line.a_cpu_s_by_streams),
            "peak_mib": table(lambda line: line.peak_mib),
            "bytes_per_key": table(lambda line: line.bytes_a_key),
        } | msgspec.to_builtins(self)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2))


def _line(runs: list[Run], beside: dict[tuple[int, str], Run]) -> Line:
    def middle(value: Callable[[Run], float]) -> float:
        return median(value(run) for run in runs)

    speeds = [run.events_a_s for run in runs]
    return Line(
        contender=runs[0].contender,
        events=int(middle(lambda run: run.measured.events)),
        is_whole=all(run.is_whole for run in runs),
        run_s=middle(lambda run: run.measured.wall_s),
        events_a_s=median(speeds),
        slowest_a_s=min(speeds),
        fastest_a_s=max(speeds),
        ratio=_median_of(_beside(runs, beside, RAW, lambda run, raw: run.events_a_s / raw.events_a_s)),
        cpu_s_a_million=middle(lambda run: run.cpu_s_a_million),
        a_cpu_s_by_streams=_median_of(
            _beside(runs, beside, STREAMS, lambda run, streams: streams.cpu_s_a_million / run.cpu_s_a_million)
        ),
        peak_mib=middle(lambda run: run.measured.peak_bytes / MIB),
        bytes_a_key=middle(lambda run: run.bytes_a_key),
        announced_a_event=middle(lambda run: run.measured.announced / run.measured.events),
    )


def _beside(
    runs: list[Run], beside: dict[tuple[int, str], Run], other: str, value: Callable[[Run, Run], float]
) -> list[float]:
    """Each run with that of another contender in its round, where there is one."""
    return [value(run, beside[run.round, other]) for run in runs if (run.round, other) in beside]


def _median_of(values: Iterable[float]) -> float | None:
    found = list(values)
    return median(found) if found else None
