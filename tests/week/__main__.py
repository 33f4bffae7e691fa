"""`python -m tests.week`: a week of event time at a steady load through real workers, and what they hold meanwhile."""

import csv
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.brokers import available_brokers, running_broker
from tests.feeds.lines import HOUR_MS, millis
from tests.integration.processes import Deployment, Worker, deployed
from tests.week.load import Load

START_MS = millis(2026, 9, 7)
HOURS = 7 * 24
STEP_HOURS = 6
SETTLED_HOURS = 48
"""The late horizon and the first day of it: from then on as much is forgotten as is learnt."""

TOLERANCE = 1.1
BAR = 30


@dataclass(frozen=True)
class Sample:
    """What the workers hold when `hour` hours of event time have been metered."""

    hour: int
    events: int
    live_interactions: int
    meter_mib: float
    aggregator_mib: float


@click.command(
    help="Feeds a week of event time, every minute of it the same number of new visitors, through a meter worker and "
    "an aggregator worker, and samples what they hold every six hours of it. The first two days fill the late horizon; "
    "after that nothing may grow.",
    epilog="Prints a curve and writes build/week.csv. Exit 0 only if the last day is at most a tenth above the third.",
)
@click.option("--events", default=1_000_000, show_default=True, help="Chat events in the week, about.")
@click.option("--seed", default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("build/week.csv"), show_default=True)
def main(events: int, seed: int, out: Path) -> None:
    """Runs, samples, judges."""
    if not Path("/proc/self/status").exists():
        raise click.ClickException("memory is read from /proc, which this system does not have: run it on Linux")
    load = Load(seed, START_MS, events / (HOURS * 60))
    samples: list[Sample] = []
    with (
        tempfile.TemporaryDirectory(prefix="week-") as directory,
        running_broker(available_brokers()[-1], Path(directory)) as broker,
        deployed(broker, Path(directory)) as deployment,
        _progress() as progress,
    ):
        workers = deployment.start("meter"), deployment.start("aggregator")
        task = progress.add_task("", total=HOURS // STEP_HOURS)
        for hour in range(STEP_HOURS, HOURS + 1, STEP_HOURS):
            written = _feed(deployment, load, hour)
            before = samples[-1].events if samples else 0
            samples.append(_sample(hour, before + written, *workers))
            progress.advance(task)
    _write(samples, out)
    sys.exit(_judge(samples, out))


def _feed(deployment: Deployment, load: Load, hour: int) -> int:
    lines = list(load.until(START_MS + hour * HOUR_MS))
    feed = deployment.data / "slice.ndjson"
    feed.write_bytes(b"".join(line + b"\n" for line in lines))
    deployment.do("meter", "produce", "--feed", str(feed))
    deployment.do("meter", "drained", "--timeout", "100")
    return len(lines)


def _sample(hour: int, events: int, meter: Worker, aggregator: Worker) -> Sample:
    live = int(meter.count("meter_live_interactions"))
    return Sample(hour, events, live, _resident_mib(meter), _resident_mib(aggregator))


def _resident_mib(worker: Worker) -> float:
    status = Path(f"/proc/{worker.pid}/status").read_text("ascii")
    kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return round(kib / 1024, 1)


def _write(samples: list[Sample], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="") as file:
        table = csv.DictWriter(file, list(asdict(samples[0])))
        table.writeheader()
        table.writerows(asdict(sample) for sample in samples)


def _judge(samples: list[Sample], out: Path) -> int:
    """Print the curve; 0 if it is flat."""
    most = max(sample.meter_mib for sample in samples)
    click.echo("day  hour      events  interactions  aggregator  meter")
    for sample in samples:
        bar = "█" * round(BAR * sample.meter_mib / most)
        click.echo(
            f"{(sample.hour - 1) // 24 + 1:3}  {sample.hour:4}  {sample.events:10,}  {sample.live_interactions:12,}"
            f"  {sample.aggregator_mib:6.0f} MiB  {bar} {sample.meter_mib:.0f} MiB"
        )
    grown = [name for name in ("live_interactions", "meter_mib", "aggregator_mib") if _has_grown(samples, name)]
    click.echo(f"{'grows: ' + ', '.join(grown) if grown else 'flat'} after day 2; all figures in {out}")
    return 1 if grown else 0


def _has_grown(samples: list[Sample], name: str) -> bool:
    def level(first_hour: int, last_hour: int) -> float:
        return median(float(getattr(sample, name)) for sample in samples if first_hour < sample.hour <= last_hour)

    return level(HOURS - 24, HOURS) > TOLERANCE * level(SETTLED_HOURS, SETTLED_HOURS + 24)


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = TextColumn("metering a week"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


if __name__ == "__main__":
    main()
