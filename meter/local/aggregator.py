"""Running the aggregator's commands as processes of their own.

The meter imports neither the aggregator nor a ClickHouse client. The aggregator finds the tables by CLICKHOUSE_DSN.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import msgspec

from meter.local.data_directory import CLICKHOUSE_DIR, data_dsn
from meter.local.processes import RunError


def environment_of(data: Path) -> dict[str, str]:
    """Return this process's environment with CLICKHOUSE_DSN set to the tables of a data directory.

    Raises RunError if there are no tables in it.
    """
    if not (data / CLICKHOUSE_DIR).is_dir():
        raise RunError(
            f"{data} holds no metered data: run `python -m meter run --data {data} --feed FILE --once` first"
        )
    return os.environ | {"CLICKHOUSE_DSN": data_dsn(data)}


def hand_on(words: list[str], environment: Mapping[str, str]) -> NoReturn:
    """Replace this process by `python -m aggregator WORDS`, so that its output and its exit code are the command's."""
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "aggregator", *words], dict(environment))


def migrate(environment: Mapping[str, str], log_file: Path) -> None:
    """Create the tables. The command's output replaces the content of `log_file`. Raises RunError if it fails."""
    done = _run(["migrate"], environment)
    log_file.write_text(done.stdout + done.stderr)
    if done.returncode:
        raise RunError(f"the tables cannot be created: {_sentence(done)}")


def print_summary(data: Path) -> None:
    """Print usage and balances of a data directory. Raises RunError if the command fails.

    The command writes to this process's own standard output, so its tables fit the terminal, if there is one.
    """
    sys.stdout.flush()
    done = _run(["summary"], environment_of(data), stdout=None)
    if done.returncode:
        raise RunError(_sentence(done))


def reconciled(data: Path) -> str:
    """Return one line that says that all figures of a data directory agree. Raises RunError if they do not."""
    environment = environment_of(data)
    done = _run(["reconcile", "--grace", "0", "--format", "json"], environment)
    if done.returncode:
        reason = _sentence(done) or "rows differ"
        dsn = environment["CLICKHOUSE_DSN"]
        raise RunError(f"{reason}: see `CLICKHOUSE_DSN={dsn} python -m aggregator reconcile`")
    pairs: dict[str, int] = msgspec.json.decode(done.stdout)["pairs"]
    compared = dict.fromkeys(word for pair in pairs for word in pair.split("_"))
    return f"reconciled: {', '.join(compared)}: difference {sum(pairs.values())}"


def _run(
    words: list[str], environment: Mapping[str, str], stdout: int | None = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aggregator", *words]
    return subprocess.run(command, env=environment, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)


def _sentence(done: subprocess.CompletedProcess[str]) -> str:
    """Return the command's error message without its prefix, which this process adds again."""
    return done.stderr.strip().removeprefix("Error: ")
