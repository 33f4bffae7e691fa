"""The command `demo`: its feeds, and the hints after its result."""

import sys
from pathlib import Path
from typing import Final

from rich.console import Console

from meter.local.processes import RunError

_PACKAGE: Final = Path(__file__).parent.parent

SHARED_FEEDS: Final = _PACKAGE.parent.parent / "shared" / "data"
"""A folder of real traffic beside the project. It is used if it is there."""

SAMPLE_FEEDS: Final = _PACKAGE / "sample"
"""The sample in the package, used otherwise."""


def sample_feeds() -> list[Path]:
    """Return the feed files of the demonstration: events, then commands. Raises RunError if there are none."""
    for folder, names in (
        (SHARED_FEEDS, ("irc-train.ndjson.gz", "irc-train.accounts.ndjson")),
        (SAMPLE_FEEDS, ("traffic.ndjson.gz", "accounts.ndjson")),
    ):
        feeds = [folder / name for name in names]
        if all(feed.is_file() for feed in feeds):
            return feeds
    raise RunError(f"the sample feed is missing from {SAMPLE_FEEDS}: install the package again")


def next_steps(data: Path) -> None:
    """Print commands that read the result in the data directory `data`."""
    command = f"{_python()} -m meter"
    Console(soft_wrap=True, markup=False, highlight=False).print(
        "Look further:\n"
        f'  {command} sql --data {data} "SELECT * FROM usage_monthly ORDER BY month DESC LIMIT 10"\n'
        f'  {command} sql --data {data} "SELECT * FROM ledger ORDER BY workspace_id, seq LIMIT 10"\n'
        f'  {command} sql --data {data} --format CSVWithNames "SELECT * FROM conversations" > conversations.csv\n'
        f"  {command} --help"
    )


def _python() -> str:
    """Return how to type this interpreter in the working directory."""
    here, python = Path.cwd(), Path(sys.executable)
    return str(python.relative_to(here)) if python.is_relative_to(here) else "python"
