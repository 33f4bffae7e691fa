"""A notice as a mail that a mail program reads."""

import email
import email.policy

import msgspec
import pytest

from meter.notify.message import message
from meter.notify.render import render
from meter.notify.samples import AT, RECIPIENT, SENDER, sample
from schemas.notice_templates import TEMPLATES


def read(data: bytes) -> email.message.EmailMessage:
    """Parse a mail as a mail program does."""
    return email.message_from_bytes(data, policy=email.policy.default)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_mail_has_text_and_then_html(name: str) -> None:
    """A mail program shows the last alternative that it can."""
    mail = read(message(sample(name), RECIPIENT, SENDER).as_bytes())
    rendered = render(sample(name), RECIPIENT, SENDER)
    text, html = mail.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content().replace("\r\n", "\n") == rendered.text
    assert html.get_content().replace("\r\n", "\n").rstrip("\n") == rendered.html.rstrip("\n")
    assert mail["Subject"] == rendered.subject
    assert mail["To"].addresses[0].addr_spec == "mia@example.com"
    assert mail["From"].addresses[0].addr_spec == "billing@example.com"
    assert mail["Date"].datetime == AT
    assert mail["Auto-Submitted"] == "auto-generated"


def test_the_same_notice_is_the_same_bytes_and_each_person_has_a_mail() -> None:
    first = message(sample("purchase"), RECIPIENT, SENDER)
    assert first.as_bytes() == message(sample("purchase"), RECIPIENT, SENDER).as_bytes()
    other = message(sample("purchase"), msgspec.structs.replace(RECIPIENT, email="noah@example.com"), SENDER)
    assert other["Message-ID"] != first["Message-ID"]


@pytest.mark.parametrize(
    "name", ["Mia\r\nBcc: all@example.com", "Mia <all@example.com>, x", '"quoted" \\', "Ж" * 500, "متجر", "\ud800"]
)
def test_a_name_adds_no_header_and_no_address(name: str) -> None:
    notice = sample("purchase")
    notice = msgspec.structs.replace(notice, fields=notice.fields | {"bot_name": name}, workspace_name=name)
    data = message(notice, msgspec.structs.replace(RECIPIENT, name=name), SENDER).as_bytes()
    mail = read(data)
    assert mail["Bcc"] is None
    assert [each.addr_spec for each in mail["To"].addresses] == ["mia@example.com"]
    head = data.partition(b"\r\n\r\n")[0]
    assert max(len(line) for line in head.split(b"\r\n")) <= 998
    head.decode("ascii")


def test_lines_of_a_mail_fit_every_mail_server() -> None:
    data = message(sample("free-exhausted-workspace"), RECIPIENT, SENDER).as_bytes()
    assert max(len(line) for line in data.split(b"\r\n")) <= 998
    data.decode("ascii")
