"""The sample feeds of the demonstration, and where to look next."""

import sys
from pathlib import Path
from typing import Final

from rich.console import Console

from meter.local.processes import RunError

_PACKAGE: Final = Path(__file__).parent.parent

SHARED_FEEDS: Final = _PACKAGE.parent.parent / "shared" / "data"
"""Real traffic, where it lies beside the project; else the sample that ships with it."""


SAMPLE_FEEDS: Final = _PACKAGE / "sample"


def sample_feeds() -> list[Path]:
    """The feeds of the demonstration."""
    for folder, names in (
        (SHARED_FEEDS, ("irc-train.ndjson.gz", "irc-train.accounts.ndjson")),
        (SAMPLE_FEEDS, ("traffic.ndjson.gz", "accounts.ndjson")),
    ):
        feeds = [folder / name for name in names]
        if all(feed.is_file() for feed in feeds):
            return feeds
    raise RunError(f"the sample feed is missing from {SAMPLE_FEEDS}: install the package again")


def next_steps(data: Path) -> None:
    """Where to look next."""
    command = f"{_python()} -m meter"
    Console(soft_wrap=True, markup=False, highlight=False).print(
        "Look further:\n"
        f'  {command} sql --data {data} "SELECT * FROM usage_monthly ORDER BY month DESC LIMIT 10"\n'
        f'  {command} sql --data {data} "SELECT * FROM ledger ORDER BY workspace_id, seq LIMIT 10"\n'
        f'  {command} sql --data {data} --format CSVWithNames "SELECT * FROM conversations" > conversations.csv\n'
        f"  {command} --help"
    )


def _python() -> str:
    """How to call this interpreter from here."""
    here, python = Path.cwd(), Path(sys.executable)
    return str(python.relative_to(here)) if python.is_relative_to(here) else "python"
