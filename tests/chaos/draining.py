"""Waiting until the meter has read everything and ClickHouse holds it, while workers are supervised."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.chaos.fleet import Fleet
from tests.integration.processes import ROOT, environment

TICK_S: Final = 0.05


def wait_supervised(fleet: Fleet, is_done: Callable[[], bool]) -> None:
    """Return once `is_done`; what ends by itself meanwhile is started again."""
    while not is_done():
        fleet.supervise()
        time.sleep(TICK_S)


def drained(bootstrap: str, fleet: Fleet, log_file: Path, timeout_s: float) -> str | None:
    """Wait until all is in ClickHouse. Returns what prevented it within `timeout_s`, None if nothing did."""
    with log_file.open("wb") as log:
        waiting = subprocess.Popen(
            [sys.executable, "-m", "meter", "drained", "--timeout", str(timeout_s)],
            cwd=ROOT,
            env=environment(KAFKA_BOOTSTRAP_SERVERS=bootstrap),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        wait_supervised(fleet, lambda: waiting.poll() is not None)
    finally:
        waiting.kill()
        waiting.wait()
    if not waiting.returncode:
        return None
    told = log_file.read_text("utf-8", "replace").strip()
    return f"not drained within {timeout_s:.0f} s: {told}"
