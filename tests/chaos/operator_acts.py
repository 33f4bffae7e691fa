"""What an operator does in the middle of a round, by the product's own commands and by Kafka's administration."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient

from meter.kafka.requests import SetSettings
from schemas.exit_statuses import REFUSED
from tests.chaos.fleet import Fleet
from tests.integration.processes import ROOT

REFUSAL_S: Final = 180.0
"""How long a worker may take to refuse."""

AGAIN: Final = 20
AGAIN_S: Final = 0.5
"""How often, and how soon, a command is given again that cannot be carried out yet."""

_NOT_YET: Final = ("still run", "do not exist")
"""What a command says that will be possible in a moment."""


class ActError(Exception):
    """An act did not go as the product's own sentences say."""


class Operator:
    """Gives commands of the product; what they print goes to one log."""

    def __init__(self, env: Mapping[str, str], log_file: Path) -> None:
        self._env = dict(env)
        self._log_file = log_file

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        """Begin a command, such as `meter topics`, and do not wait for it."""
        with self._log_file.open("ab") as log:
            log.write(f"$ {' '.join(words)}\n".encode())
            log.flush()
            return subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=ROOT,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def do(self, *words: str, cut_s: float | None = None) -> str:
        """Carry out a command, and return what it printed.

        With `cut_s` it is killed after so long, and given again. Raises ActError if it fails for good.
        """
        if cut_s is not None:
            cut = self.begin(*words)
            try:
                cut.wait(cut_s)
            except subprocess.TimeoutExpired:
                cut.kill()
                cut.wait()
        for _ in range(AGAIN):
            before = self._log_file.stat().st_size if self._log_file.exists() else 0
            code = self.begin(*words).wait()
            said = self._log_file.read_bytes()[before:].decode("utf-8", "replace")
            if code == 0:
                return said
            if not any(each in said for each in _NOT_YET):
                break
            time.sleep(AGAIN_S)
        raise ActError(f"a command failed with {code}: {said}")


def require_refusal(fleet: Fleet, program: str, advice: str, status: int = REFUSED) -> None:
    """Start a worker and see it refuse, with this exit status and a sentence that names a command.

    Raises ActError if it does anything else.
    """
    worker = fleet.attempt(program)
    deadline = time.monotonic() + REFUSAL_S
    while worker.ended() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    if worker.ended() != status or advice not in worker.log:
        said = worker.log.strip().splitlines()[-1:]
        worker.kill()
        raise ActError(f"{worker.log_file.name} was to refuse with {advice!r}: {worker.ended()}, {said}")


def delete_topic(bootstrap: str, topic: str) -> None:
    """Delete a topic, and return when the broker does not list it any more."""

    async def delete() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            await admin.delete_topics([topic])
            while topic in await admin.list_topics():  # noqa: ASYNC110 - the broker sends no word
                await asyncio.sleep(0.05)
        finally:
            await admin.close()

    asyncio.run(delete())


def change_setting(bootstrap: str, topic: str, setting: str, value: str) -> None:
    """Change one setting of a topic. Raises the client's error."""

    async def change() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            await admin._send_to_controller(SetSettings({topic: {setting: value}}))
        finally:
            await admin.close()

    asyncio.run(change())
