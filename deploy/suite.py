"""The whole suite in one process, or in two streams side by side: `make test` calls it.

Tests that start brokers and workers wait most of the time, so other tests run beside them. What the second stream says
is shown when both have ended.
"""

import subprocess
import sys
import tempfile
from threading import Thread
from typing import IO, Final

PYTEST: Final = [sys.executable, "-m", "pytest"]
MOVED: Final = ("tests/aggregator", "tests/bench", "tests/chaos", "tests/cli")
"""Directories whose tests with workers run in the second stream, so that both take about as long."""
FIRST: Final = ["-m", "integration", *(f"--ignore={each}" for each in MOVED)]
BESIDE: Final = (["-m", "not integration"], ["-m", "integration", *MOVED])
"""The parts of the second stream, one after another. With FIRST they are every test, each once."""


def run_beside(said: IO[bytes], statuses: list[int]) -> None:
    """Run the second stream, write what it says to `said`, and add the exit status of each part to `statuses`."""
    commands = [[*PYTEST, *part] for part in BESIDE]
    statuses.extend(subprocess.run(each, stdout=said, stderr=said, check=False).returncode for each in commands)


def main(jobs: int) -> int:
    """Run the suite in one stream, or in two if `jobs` is above 1. Return 0 if all tests passed, else 1."""
    if jobs < 2:
        return min(1, subprocess.run(PYTEST, check=False).returncode)
    print("other tests run beside these; their lines come at the end", flush=True)
    with tempfile.TemporaryFile() as said:
        statuses: list[int] = []
        beside = Thread(target=run_beside, args=(said, statuses))
        beside.start()
        statuses.append(subprocess.run([*PYTEST, *FIRST], check=False).returncode)
        beside.join()
        said.seek(0)
        sys.stdout.buffer.write(said.read())
        sys.stdout.flush()
    return 1 if any(statuses) else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
