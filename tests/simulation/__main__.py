"""`python -m tests.simulation`: thousands of lives, each from its seed, which replays it exactly."""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.simulation.life import Lives, live_all

SHARE = 8
"""Lives that a process is given at a time."""


@click.command(
    help="Runs the production code in simulated lives: a feed, a broker, a group, ClickHouse and a clock in memory "
    "that reorder, repeat, delay, fail, and kill or pause any process between any two effects. Each life ends with an "
    "audit against the oracle. A life that fails prints its seed: --from SEED --seeds 1 lives it again, step by step "
    "the same.",
    epilog="The last line is `simulate: N seeds, E events, …, F failed`; exit 0 only when F is 0.",
)
@click.option("--seeds", default=1000, show_default=True, help="How many lives.")
@click.option("--from", "first", default=1, show_default=True, help="The first seed.")
@click.option("--events", default=60, show_default=True, help="Chat events in a life, at most.")
@click.option("--jobs", default=os.cpu_count() or 1, help="Processes side by side. Default: one a core.")
@click.option("--keep-going", is_flag=True, help="Do not stop at the first failure.")
def main(seeds: int, first: int, events: int, jobs: int, keep_going: bool) -> None:
    """Deals the seeds out and adds the answers up."""
    started_s = time.monotonic()
    happened: Counter[str] = Counter()
    failures: list[tuple[int, str]] = []
    done = 0
    for answer in _answers(range(first, first + seeds), events, jobs):
        done += answer.lived + len(answer.failed)
        failures += answer.failed
        happened += answer.happened
        for seed, what in answer.failed:
            click.echo(f"seed {seed} failed; live it again with --from {seed} --seeds 1 --events {events}\n{what}")
        if failures and not keep_going:
            break
    told = ", ".join(f"{happened[what]:,} {what}" for what in ("events", *sorted(set(happened) - {"events"})))
    pace = 60 * done / (time.monotonic() - started_s)
    click.echo(f"simulate: {done:,} seeds, {told}, {pace:,.0f} seeds a minute, {len(failures)} failed")
    sys.exit(1 if failures else 0)


def _answers(seeds: range, events: int, jobs: int) -> Iterator[Lives]:
    shares = [seeds[at : at + SHARE] for at in range(0, len(seeds), SHARE)]
    with _progress(len(seeds)) as progress:
        task = progress.add_task("living", total=len(seeds))
        if jobs == 1 or len(shares) == 1:
            for share in shares:
                yield live_all(share, events)
                progress.advance(task, len(share))
            return
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            try:
                waiting = [pool.submit(live_all, share, events) for share in shares]
                for share, answer in zip(shares, waiting, strict=True):
                    yield answer.result()
                    progress.advance(task, len(share))
            finally:
                pool.shutdown(cancel_futures=True)


@contextmanager
def _progress(total: int) -> Iterator[Progress]:
    console = Console(stderr=True)
    columns = TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal or total < SHARE) as bar:
        yield bar


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of a set is drawn anew for every process, and with it the order of effects.
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.simulation", *sys.argv[1:]],
            os.environ | {"PYTHONHASHSEED": "0"},
        )
    main()
