"""What an operator does in the middle of a round, by the product's own commands."""

import subprocess
import sys
from pathlib import Path

from tests.integration.processes import ROOT, environment


def set_policy(bootstrap: str, log_file: Path, unknown_workspace: str, debit_order: str) -> subprocess.Popen[bytes]:
    """Begin `meter policy set`, which may be refused while the broker is away. Its output goes to the log."""
    words = ["set", "--unknown-workspace", unknown_workspace, "--debit-order", debit_order]
    with log_file.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "meter", "policy", *words],
            cwd=ROOT,
            env=environment(KAFKA_BOOTSTRAP_SERVERS=bootstrap),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
