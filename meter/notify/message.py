"""A notice as a mail: headers, the text, and the HTML as an alternative to it."""

import hashlib
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from meter.notify.render import render
from meter.notify.sender import Sender
from meter.notify.shown import one_line, shortened
from schemas.notices import Notice, Recipient

_NAME_CHARACTERS: Final = 60


def message(notice: Notice, recipient: Recipient, sender: Sender) -> EmailMessage:
    """Return the mail of a notice to one person. The same arguments give the same bytes.

    `Message-ID` follows from notice and person, so a mail that is sent twice has the same. Raises NoticeError if the
    notice does not fit its template.
    """
    rendered = render(notice, recipient, sender)
    digest = hashlib.blake2b(
        f"{notice.notice_id}\n{recipient.email}".encode(errors="replace"), digest_size=16
    ).hexdigest()
    mail = EmailMessage(policy=SMTP)
    mail["From"] = _address(sender.name, sender.email)
    mail["To"] = _address(recipient.name, recipient.email)
    mail["Subject"] = rendered.subject
    mail["Date"] = format_datetime(notice.occurred_at)
    mail["Message-ID"] = f"<{digest}@{sender.email.partition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(rendered.text, cte="quoted-printable")
    mail.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
    mail.set_boundary(f"=_{digest}")
    return mail


def _address(name: str, email: str) -> Address:
    """An address with a display name, in which no line break and no other address can hide."""
    return Address(display_name=shortened(one_line(name), _NAME_CHARACTERS), addr_spec=email)
