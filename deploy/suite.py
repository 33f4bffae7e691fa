"""The whole suite in one process, or in two side by side: `make test` calls it.

Tests that start brokers and workers wait most of the time, so the others run beside them. What the second process says
is shown when both have ended.
"""

import subprocess
import sys
import tempfile
from typing import Final

PYTEST: Final = [sys.executable, "-m", "pytest"]


def main(jobs: int) -> int:
    """Run the suite in one process, or in two if `jobs` is above 1. Return 0 if all tests passed, else 1."""
    if jobs < 2:
        return min(1, subprocess.run(PYTEST, check=False).returncode)
    print("tests without processes of their own run beside these; their lines come at the end", flush=True)
    with tempfile.TemporaryFile() as said:
        beside = subprocess.Popen([*PYTEST, "-m", "not integration"], stdout=said, stderr=subprocess.STDOUT)
        try:
            first = subprocess.run([*PYTEST, "-m", "integration"], check=False).returncode
            second = beside.wait()
        finally:
            if beside.poll() is None:
                beside.terminate()
            said.seek(0)
            sys.stdout.buffer.write(said.read())
            sys.stdout.flush()
    return 1 if first or second else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
