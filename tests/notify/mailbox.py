"""The mail server of tests as a process, and the mails that it took."""

import email
import email.policy
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

from meter.local.broker import die_with_parent
from tests.integration.processes import ROOT


class Mailbox:
    """A running mail server."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self.port = port
        self.url = f"smtp://127.0.0.1:{port}"

    def data(self) -> list[bytes]:
        """The mails that it took, in the order of arrival."""
        return [path.read_bytes() for path in sorted(self.directory.glob("*.eml"))]

    def mails(self) -> list[EmailMessage]:
        """The same, as a mail program reads them."""
        return [email.message_from_bytes(each, policy=email.policy.default) for each in self.data()]

    def is_holding(self) -> bool:
        """Whether it holds back an answer; false again after it was asked."""
        held = self.directory / "held"
        found = held.exists()
        held.unlink(missing_ok=True)
        return found


@contextmanager
def mail_server(directory: Path, port: int = 0, *security: str) -> Iterator[Mailbox]:
    """A mail server for the length of a `with` block. Port 0 is a free one. For `security` see the server."""
    directory.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.notify.smtp_server", str(directory), str(port), *security],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent(),
    )
    try:
        assert process.stdout is not None
        yield Mailbox(directory, int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()
