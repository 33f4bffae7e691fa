"""`make fuzz`: damaged inputs by the million, and whether any was lost, counted twice, or did harm."""

import multiprocessing
import sys
from typing import Final

import click

from meter.cli.progress import show_progress
from tests.fuzz.cases import BATCH
from tests.fuzz.world import Report, run_batch

SHOWN: Final = 20
"""Differences that are printed; the number of all is in the last line."""


@click.command()
@click.option("--count", type=click.IntRange(min=1), default=100_000, show_default=True, help="How many inputs.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same inputs.")
@click.option("--only", type=click.IntRange(min=0), help="Only the input of this number, among the same real records.")
@click.option("--processes", type=click.IntRange(min=1), default=2, show_default=True, help="Side by side.")
def main(count: int, seed: int, only: int | None, processes: int) -> None:
    """Damage real records, run them through the folds of both stages, and hold the outcome against the oracle."""
    click.echo(f"seed {seed}")
    report = run_all(seed, ranges(count) if only is None else [range(only, only + 1)], processes)
    for difference in report.differences[:SHOWN]:
        click.echo(difference)
    for code, letters in report.codes.most_common():
        click.echo(f"{letters:>10,} {code}")
    click.echo(
        f"fuzz: {report.inputs:,} inputs, {report.codes.total():,} dead letters, {report.valid:,} still valid, "
        f"{report.metered:,} events metered, difference {len(report.differences)}"
    )
    sys.exit(bool(report.differences))


def ranges(count: int) -> list[range]:
    """The numbers 0 to `count`, a batch each."""
    return [range(start, min(start + BATCH, count)) for start in range(0, count, BATCH)]


def run_all(seed: int, batches: list[range], processes: int) -> Report:
    """All batches, side by side; the order in which they end does not matter."""
    total = Report()
    with multiprocessing.Pool(min(processes, len(batches))) as pool, show_progress() as shown:
        shown.phase("fuzzing", sum(map(len, batches)))
        for report in pool.imap_unordered(_run, [(seed, each) for each in batches]):
            total.add(report)
            shown.advance(report.inputs)
    total.differences.sort()
    return total


def _run(job: tuple[int, range]) -> Report:
    return run_batch(*job)


if __name__ == "__main__":
    main()
