"""The ClickHouse of a round: a process that can be taken away and given back."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

from meter.local.broker import die_with_parent, free_port
from tests.integration.processes import ROOT, environment


class Server:
    """tests/chaos/engine.py as a process; directory and port outlive it."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        self._directory = directory
        self._port = free_port()
        self._process: subprocess.Popen[str] | None = None

    @property
    def dsn(self) -> str:
        """What an operator would write in CLICKHOUSE_DSN."""
        return f"clickhouse://default@127.0.0.1:{self._port}/default"

    def start(self) -> None:
        """Return once it answers. Raises RuntimeError when it ends instead."""
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.engine", str(self._directory / "data"), str(self._port)],
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                preexec_fn=die_with_parent(),
            )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError(f"ClickHouse's engine ended while starting; its log is {self._directory / 'log'}")

    def kill(self) -> None:
        """End it with -9, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def copy(self) -> None:
        """Keep a copy of its files, for `restore`. It must not run."""
        assert self._process is None
        shutil.copytree(self._directory / "data", self._directory / "copy", symlinks=True)

    def restore(self) -> None:
        """Put the copy in the place of its files. It must not run."""
        self.empty()
        shutil.copytree(self._directory / "copy", self._directory / "data", symlinks=True)

    def empty(self) -> None:
        """Delete its files. It must not run."""
        assert self._process is None
        shutil.rmtree(self._directory / "data")

    def pause(self) -> None:
        """It takes connections and does not answer."""
        self._send(signal.SIGSTOP)

    def wake(self) -> None:
        """It goes on where it was."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
