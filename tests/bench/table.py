"""The table that people read: one a number of keys, with all that its figures depend on above it."""

from rich import box
from rich.console import Console
from rich.table import Table

from tests.bench.feed import WORKSPACES
from tests.bench.results import Feeding, Line, Results
from tests.bench.roster import METER, roster
from tests.bench.task import COMMIT_S, PARTITIONS

WIDTH = 132
COLUMNS = ("taken", "run s", "events/s", "k min-max", "x RAW", "CPU s/M", "x Streams", "peak MiB", "B/key", "out/event")


def show(results: Results) -> None:
    """Print everything to standard output, no wider than WIDTH."""
    console = Console(width=WIDTH, highlight=False)
    machine = results.machine
    console.print(
        f"\n{machine.cores} cores {machine.cpu}, {machine.memory_mib / 1024:.0f} GiB, {machine.system}, "
        f"Python {machine.python}; {results.broker}, one node; load before {machine.load}\n"
        f"Each contender on one core, the broker on another. {PARTITIONS} partitions, {WORKSPACES} workspaces, "
        f"no compression. At least once, state safe every {COMMIT_S:g} s.\n"
        "x RAW: events/s by those of aiokafka getmany + orjson.loads on the same topic in the same round.\n"
        "CPU s/M: CPU-seconds of the process per million events. x Streams: events per CPU-second by Kafka Streams'.\n"
        "B/key: memory that a run added, by key it met; a JVM's is its heap's growth. out: records written downstream."
    )
    for feed in results.feeds:
        console.print(_table(feed, results.lines(feed.keys)))
    for name, reason in results.absent.items():
        console.print(f"{name}: {reason}")


def _table(feed: Feeding, lines: list[Line]) -> Table:
    ours = next((line for line in lines if line.contender == METER), None)
    announcing = f"{ours.announced_a_event * ours.events_a_s:,.0f}/s announced by the meter, " if ours else ""
    table = Table(
        title=f"{feed.keys:,} live keys: {feed.events:,} events of {feed.bytes_a_event:.0f} bytes, "
        f"{feed.conversations:,} conversations, {announcing}medians of {feed.rounds}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("contender", no_wrap=True)
    for name in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    titles = {contender.name: contender.title for contender in roster()}
    for line in lines:
        table.add_row(titles[line.contender], *_cells(line))
    return table


def _cells(line: Line) -> tuple[str, ...]:
    return (
        f"{line.events:,}" + ("" if line.is_whole else " *"),
        f"{line.run_s:.1f}",
        f"{line.events_a_s:,.0f}",
        f"{line.slowest_a_s / 1000:.0f}-{line.fastest_a_s / 1000:.0f}",
        _figure(line.ratio),
        f"{line.cpu_s_a_million:.2f}",
        _figure(line.a_cpu_s_by_streams),
        f"{line.peak_mib:,.0f}",
        f"{line.bytes_a_key:,.0f}",
        f"{line.announced_a_event:.2f}",
    )


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if value < 1 else f"{value:.2f}"
