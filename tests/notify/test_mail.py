"""Mails by a real mail server, and as files: what each answer of the server means."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import aiosmtplib
import pytest

from meter.notify.mail import DirectoryOutlet, SmtpOutlet, failure
from meter.notify.message import message
from meter.notify.outlets import AwayError, DeliveryError, PermanentError, TemporaryError
from meter.notify.samples import SENDER
from meter.notify.smtp_url import MailServer, parse
from schemas.environment import SettingsError
from tests.notify.fakes import notice
from tests.notify.mailbox import Mailbox, mail_server
from tests.notify.smtp_server import PASSWORD


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    with mail_server(tmp_path_factory.mktemp("mails")) as running:
        yield running


async def test_a_mail_arrives_byte_for_byte_at_one_address(mailbox: Mailbox) -> None:
    both = notice(to=["mia@example.com", "noah@example.com"])
    before = len(mailbox.data())
    await SmtpOutlet(parse(mailbox.url), SENDER).send(both, "noah@example.com")
    assert mailbox.data()[before:] == [message(both, both.to[1], SENDER).as_bytes()]


@pytest.mark.parametrize(
    ("way", "error", "reason"),
    [
        ("gone", PermanentError, "the mail server answered 550 no such user"),
        ("full", TemporaryError, "the mail server answered 452 mailbox is full"),
        ("busy", AwayError, "the mail server answered 421 too many connections"),
        ("spam", PermanentError, "the mail server answered 554 refused as spam"),
    ],
)
async def test_an_answer_of_the_server_has_its_meaning(
    mailbox: Mailbox, way: str, error: type[DeliveryError], reason: str
) -> None:
    address = f"{way}@example.com"
    with pytest.raises(error) as refused:
        await SmtpOutlet(parse(mailbox.url), SENDER).send(notice(to=[address]), address)
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (aiosmtplib.SMTPRecipientRefused(450, "greylisted", "a@b"), TemporaryError),
        (aiosmtplib.SMTPDataError(451, "later"), TemporaryError),
        (aiosmtplib.SMTPDataError(552, "too large"), PermanentError),
        (aiosmtplib.SMTPAuthenticationError(535, "bad credentials for user:sesame"), AwayError),
        (aiosmtplib.SMTPSenderRefused(550, "sender is not allowed", "a@b"), AwayError),
        (aiosmtplib.SMTPHeloError(504, "no"), AwayError),
        (aiosmtplib.SMTPConnectResponseError(554, "no service"), AwayError),
        (aiosmtplib.SMTPServerDisconnected("gone"), AwayError),
        (aiosmtplib.SMTPReadTimeoutError("slow"), AwayError),
        (aiosmtplib.SMTPNotSupported("no STARTTLS"), AwayError),
        (ssl.SSLError("certificate"), AwayError),
        (OSError("no route"), AwayError),
        (TimeoutError(), AwayError),
    ],
)
def test_only_an_answer_about_this_mail_can_fail_it(error: Exception, meaning: type[DeliveryError]) -> None:
    """A wrong password must not cost a mail."""
    found = failure(error)
    assert type(found) is meaning
    assert "sesame" not in str(found)


async def test_a_server_that_is_not_there_is_away(closed_port: int) -> None:
    outlet = SmtpOutlet(MailServer("127.0.0.1", closed_port, "none"), SENDER)
    with pytest.raises(AwayError, match="the mail server cannot be reached"):
        await outlet.send(notice(), "mia@example.com")


async def test_a_server_without_encryption_gets_no_mail_where_encryption_is_asked_for(mailbox: Mailbox) -> None:
    before = len(mailbox.data())
    outlet = SmtpOutlet(parse(mailbox.url.replace("smtp:", "smtp+starttls:")), SENDER)
    with pytest.raises(AwayError):
        await outlet.send(notice(), "mia@example.com")
    assert len(mailbox.data()) == before


def test_an_address_that_is_named_twice_gets_one_mail() -> None:
    twice = notice(to=["a@example.com", "b@example.com", "a@example.com"])
    assert SmtpOutlet(MailServer("h", 25, "none"), SENDER).recipients(twice) == ["a@example.com", "b@example.com"]


async def test_a_mail_that_is_written_twice_is_one_file(tmp_path: Path) -> None:
    outlet = DirectoryOutlet(tmp_path / "a" / "mails", SENDER)
    for _ in range(2):
        await outlet.send(notice(), "mia@example.com")
    (path,) = (tmp_path / "a" / "mails").iterdir()
    assert path.read_bytes() == message(notice(), notice().to[0], SENDER).as_bytes()
    with pytest.raises(SettingsError):
        DirectoryOutlet(path, SENDER)


async def test_a_directory_that_is_gone_is_away(tmp_path: Path) -> None:
    outlet = DirectoryOutlet(tmp_path / "mails", SENDER)
    (tmp_path / "mails").rmdir()
    with pytest.raises(AwayError, match="cannot be written: No such file or directory"):
        await outlet.send(notice(), "mia@example.com")


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that no one has signed, and its key."""
    path = tmp_path_factory.mktemp("pem") / "server.pem"
    key = path.with_suffix(".key")
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", *names]
    subprocess.run([*made, "-days", "2", "-keyout", key, "-out", path], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl, which makes the certificate")
@pytest.mark.parametrize(("kind", "scheme"), [("tls", "smtps"), ("starttls", "smtp+starttls")])
async def test_a_mail_goes_encrypted_and_only_to_a_server_that_is_trusted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pem: Path, kind: str, scheme: str
) -> None:
    """With the right password it arrives; without it, or without trust in the certificate, it waits."""
    with mail_server(tmp_path, 0, kind, str(pem)) as mailbox:

        async def send(password: str) -> None:
            url = f"{scheme}://meter:{quote(password)}@127.0.0.1:{mailbox.port}"
            await SmtpOutlet(parse(url), SENDER).send(notice(), "mia@example.com")

        with pytest.raises(AwayError, match="cannot be reached"):
            await send(PASSWORD)
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        with pytest.raises(AwayError, match="refused user or password") as refused:
            await send("wrong sesame")
        assert "sesame" not in str(refused.value)
        assert mailbox.data() == []
        await send(PASSWORD)
        assert len(mailbox.data()) == 1
