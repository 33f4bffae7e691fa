"""A program that is killed at each step of a mail, and how often the mail then arrives at a real mail server."""

import signal
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import pytest

from meter.notify.message import message
from meter.notify.samples import SENDER
from schemas.notices import Notice
from tests.integration.processes import eventually
from tests.notify.fakes import notice
from tests.notify.mailbox import Mailbox, mail_server
from tests.notify.post import Post, running_post

pytestmark = pytest.mark.integration

WAIT_S = 60


class Kill(NamedTuple):
    """A moment at which the process ends, and how many copies of the mail arrive in the end."""

    name: str
    moment: str
    copies: int
    to: str = "mia@example.com"


KILLS: Final = (
    Kill("before-the-first-receipt", "before begun", 1),
    Kill("before-the-attempt", "after begun", 1),
    Kill("mail-not-kept-yet", "held", 1, "hold-before@example.com"),
    Kill("mail-kept-not-answered", "held", 2, "hold-after@example.com"),
    Kill("answered-no-receipt", "before sent", 2),
    Kill("receipt-not-committed", "after sent", 1),
)


def _notice(kill: Kill) -> Notice:
    return msgspec.structs.replace(notice(kill.name, [kill.to]), occurred_at=datetime.now(UTC))


def test_a_mail_comes_once_and_twice_only_where_no_receipt_can_tell(tmp_path: Path) -> None:
    """Between the server's keeping of a mail and our receipt a kill costs a copy, with the same Message-ID.

    Each process finishes what the one before left, and is killed at the next moment. The last one is not killed.
    """
    with running_post(tmp_path) as post, mail_server(tmp_path / "mails") as mailbox:
        for number, kill in enumerate(KILLS):
            post.write([_notice(kill)])
            _start_and_kill(post, mailbox, kill, [each.name for each in KILLS[:number]])
        last = post.start(METER_SMTP_URL=mailbox.url)
        for kill in KILLS:
            eventually(kill.name, partial(_is_sent, post, kill), WAIT_S, 0.1)
        last.metrics()  # It is ready to be stopped.
        last.stop()
        copies = Counter(str(mail["Message-ID"]).partition("@")[0] for mail in mailbox.mails())
        assert {kill.name: copies[_message_id(kill)] for kill in KILLS} == {kill.name: kill.copies for kill in KILLS}
        assert copies.total() == sum(kill.copies for kill in KILLS)


def _message_id(kill: Kill) -> str:
    """The part of the Message-ID that follows from notice and address."""
    mail = message(_notice(kill), _notice(kill).to[0], SENDER)
    return str(mail["Message-ID"]).partition("@")[0]


def _is_sent(post: Post, kill: Kill) -> bool:
    return post.status(kill.name, kill.to) == "sent"


def _start_and_kill(post: Post, mailbox: Mailbox, kill: Kill, earlier: list[str]) -> None:
    """Start a process that ends at the moment of `kill`, after it has sent what is left of the `earlier` notices."""
    program = post.start("tests.notify.mortal", kill.name, kill.moment, METER_SMTP_URL=mailbox.url)
    if kill.moment == "held":
        eventually(f"{kill.name} is held", mailbox.is_holding, WAIT_S, 0.1)
        for name in earlier:
            eventually(f"{name} is sent", partial(_has_sent, post, name), WAIT_S, 0.1)
        program.kill()
    assert program.process.wait(WAIT_S) == -signal.SIGKILL, program.log_file.read_text()


def _has_sent(post: Post, notice_id: str) -> bool:
    return any(each.status == "sent" for each in post.receipts() if each.notice_id == notice_id)
