"""The program with a mail server that is away and an endpoint that is dead, and the commands around it."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from standardwebhooks import Webhook

from meter.cli.main import main
from schemas.deliveries import Again, Target, again_of
from schemas.notices import Notice
from schemas.topics import NOTICES
from tests.integration.processes import eventually
from tests.notify.fakes import notice
from tests.notify.mailbox import mail_server
from tests.notify.post import Post, running_post

pytestmark = pytest.mark.integration

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WAIT_S = 60


class Receiver(BaseHTTPRequestHandler):
    """An endpoint that verifies what it gets. `/dead` answers 500."""

    got: list[str]

    def do_POST(self) -> None:
        """Take a webhook."""
        body = self.rfile.read(int(self.headers["content-length"]))
        is_dead = self.path == "/dead"
        if not is_dead:
            self.got.append(Webhook(SECRET).verify(body, dict(self.headers))["notice_id"])
        self.send_response(500 if is_dead else 204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@contextmanager
def receiving() -> Iterator[tuple[str, list[str]]]:
    """A running endpoint: its URL, and the ids of the notices that it got."""
    got: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Listening", (Receiver,), {"got": got}))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def now(notice_id: str, *to: str, template: str = "low-balance") -> Notice:
    """A notice of something that happens now."""
    of = notice(notice_id, to or ("mia@example.com",), template)
    return msgspec.structs.replace(of, occurred_at=datetime.now(UTC))


def meter(post: Post, *words: str) -> Result:
    """Run a command of the meter's in this process."""
    return CliRunner().invoke(main, list(words), env=post.env())


def listed(post: Post, *words: str) -> list[dict[str, Any]]:
    """What the command lists as JSON."""
    done = meter(post, "notices", "deliveries", "--json", *words)
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.output.splitlines()]


def test_nothing_that_is_dead_stops_anything_else(tmp_path: Path, closed_port: int) -> None:
    """Mails wait while the mail server is away, and one endpoint is dead; the other endpoint gets everything at once.

    Later the server is there, on the same port, and each mail comes once. Then an operator replays.
    """
    with running_post(tmp_path) as post, receiving() as (url, got):
        hooks = tmp_path / "hooks.json"
        endpoints = [{"name": name, "url": f"{url}/{name}", "secret": SECRET} for name in ("well", "dead")]
        hooks.write_text(json.dumps(endpoints), encoding="utf-8")
        ids = [f"n-{number}" for number in range(4)]
        post.write([now(each) for each in ids])
        post.write([b"junk", now("hidden", template="invitation"), now("mixed", "gone@example.com", "a@example.com")])
        post.write([msgspec.structs.replace(now("broken"), fields={})])
        program = post.start(
            METER_SMTP_URL=f"smtp://127.0.0.1:{closed_port}", METER_WEBHOOKS_FILE=str(hooks), METER_LOG_LEVEL="ERROR"
        )
        eventually("the endpoint that is well has all", lambda: {*ids, "mixed"} <= set(got), WAIT_S, 0.1)
        eventually("mails wait", lambda: bool(_with_status(post, "waiting", "mail")), WAIT_S, 0.1)
        eventually("the metrics show it", lambda: _show_what_waits(program.metrics()), WAIT_S, 0.1)
        _see_what_waits(post)
        program.stop()
        with mail_server(tmp_path / "mails") as mailbox:
            program = post.start(METER_SMTP_URL=mailbox.url)
            for each in (*ids, "hidden"):
                eventually(f"{each} is sent", partial(_is_sent, post, each, "mia@example.com"), WAIT_S, 0.1)
            eventually("a is sent", partial(_is_sent, post, "mixed", "a@example.com"), WAIT_S, 0.1)
            eventually("all is read", lambda: program.metrics()[_metric("waiting")] == 0, WAIT_S, 0.1)
            assert len(mailbox.mails()) == len(ids) + 2
            assert got.count("n-0") == 1
            _see_what_failed(post)
            _replay(post)
            eventually("the replay is sent", lambda: len(mailbox.mails()) == len(ids) + 3, WAIT_S, 0.1)
            program.stop()


def _metric(name: str, channel: str = "mail", endpoint: str = "") -> str:
    return f'meter_notify_{name}{{channel="{channel}",endpoint="{endpoint}"}}'


def _with_status(post: Post, status: str, channel: str) -> list[dict[str, Any]]:
    return [each for each in listed(post, "--channel", channel) if each["status"] == status]


def _is_sent(post: Post, notice_id: str, recipient: str) -> bool:
    return post.status(notice_id, recipient) == "sent"


def _show_what_waits(metrics: dict[str, float]) -> bool:
    """Whether the metrics are those of the state in which all that can be sent was sent."""
    assert metrics[_metric("sent_total")] == 0
    assert metrics[_metric("sent_total", "webhook", "dead")] == 0
    return (
        metrics[_metric("retried_total")] >= 1
        and metrics[_metric("waiting")] >= 5
        and metrics[_metric("oldest_waiting_seconds")] > 0
        and metrics[_metric("oldest_waiting_seconds", "webhook", "dead")] > 0
        and metrics[_metric("sent_total", "webhook", "well")] == 5
        and metrics[_metric("waiting", "webhook", "well")] == 0
    )


def _see_what_waits(post: Post) -> None:
    """Deliveries while the mail server is away."""
    (waiting, *_) = _with_status(post, "waiting", "mail")
    assert waiting["reason"].startswith("the mail server cannot be reached")
    done = meter(post, "notices", "replay", waiting["notice_id"], "--channel", "mail")
    assert (done.exit_code, "still tries" in done.output) == (1, True), done.output


def _see_what_failed(post: Post) -> None:
    """Each delivery that will not be tried again, with its reason, for programs and for people."""
    failed = {(each["notice_id"], each["recipient"]): each["reason"] for each in listed(post, "--failed")}
    junk = next(key for key in failed if key[0].startswith("notices/") and key[1] == "-")
    assert failed[junk].startswith("the record is no notice: ")
    assert failed["mixed", "gone@example.com"] == "the mail server answered 550 no such user"
    assert failed["broken", "mia@example.com"].startswith("low-balance: ")
    assert failed["broken", "well"].startswith("low-balance: ")
    table = meter(post, "notices", "deliveries", "--notice", "mixed", "--channel", "mail").output
    assert "gone@example.com" in table
    assert "sent" in table
    assert listed(post, "--since", "2099-01-01") == []
    assert "no deliveries" in meter(post, "notices", "deliveries", "--notice", "unknown").output
    assert "more that fit are older" in meter(post, "notices", "deliveries", "--limit", "1").output


def _replay(post: Post) -> None:
    """A notice is asked for again, for those who did not get it, or for all who are named."""
    for words, why in (
        (("unknown",), "no delivery of this notice is recorded"),
        (("n-0", "--channel", "mail"), "add --sent-too to send it once more"),
        ((next(each["notice_id"] for each in listed(post, "--failed") if "/" in each["notice_id"]),), "no notice"),
    ):
        done = meter(post, "notices", "replay", *words)
        assert (done.exit_code, why in done.output) == (1, True), done.output
    done = meter(post, "notices", "replay", "n-0", "--channel", "mail", "--sent-too")
    assert done.exit_code == 0, done.output
    assert "asked for again: mail to mia@example.com" in done.output
    assert _wishes(post)[-1].targets == (Target("mail", "mia@example.com"),)


def _wishes(post: Post) -> list[Again]:
    from meter.kafka import reader

    async def read() -> list[Again]:
        found = [again_of(each.headers) async for each in reader.records(post.bootstrap, NOTICES)]
        return [each for each in found if each is not None]

    return asyncio.run(read())
