"""Notices as mails: by a mail server, or as files in a directory."""

import asyncio
import os
import ssl
from pathlib import Path
from typing import Final

import aiosmtplib

from meter.notify.message import message
from meter.notify.outlets import ATTEMPT_S, AwayError, Bound, PermanentError, TemporaryError
from meter.notify.sender import Sender
from meter.notify.smtp_url import MailServer
from schemas.deliveries import Channel
from schemas.environment import SettingsError, unusable
from schemas.notices import Notice
from schemas.topics import NOTIFY_MAIL_GROUP

_PERMANENT: Final = range(500, 600)


class MailOutlet:
    """The parts that a mail server and a directory have in common. Each address gets a notice once."""

    channel: Channel = "mail"
    endpoint = ""
    group = NOTIFY_MAIL_GROUP
    slots = 8
    bound: Bound = "refused"
    judges_age = True

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def recipients(self, notice: Notice) -> list[str]:
        """Return the addresses of a notice, in its order. The same address in other case is another one."""
        return list(dict.fromkeys(each.email for each in notice.to))

    def _mail(self, notice: Notice, recipient: str) -> tuple[str, bytes]:
        """The Message-ID and the bytes of the mail to one address."""
        person = next(each for each in notice.to if each.email == recipient)
        mail = message(notice, person, self._sender)
        return str(mail["Message-ID"]), mail.as_bytes()

    async def close(self) -> None:
        """Do nothing: no connection is kept."""


class SmtpOutlet(MailOutlet):
    """Mails by a mail server, with one connection for each mail."""

    def __init__(self, server: MailServer, sender: Sender) -> None:
        super().__init__(sender)
        self._server = server

    async def send(self, notice: Notice, recipient: str) -> None:
        """Hand a mail to the server. See `Outlet.send`."""
        _, data = self._mail(notice, recipient)
        server = self._server
        try:
            async with asyncio.timeout(ATTEMPT_S):
                await aiosmtplib.send(
                    data,
                    sender=self._sender.email,
                    recipients=[recipient],
                    hostname=server.host,
                    port=server.port,
                    use_tls=server.security == "tls",
                    start_tls=server.security == "starttls",
                    username=server.user or None,
                    password=server.password or None,
                    timeout=ATTEMPT_S / 2,
                )
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError, TimeoutError) as error:
            raise failure(error) from error


def failure(error: Exception) -> PermanentError | TemporaryError | AwayError:
    """Return the meaning of an error for the delivery.

    An answer about this mail, to RCPT or DATA, decides about this mail: 5xx is for ever, all others for the time being.
    Every other error is about the server or our account there, and must not cost a mail: a wrong password, a sender
    that is not allowed, no connection, no answer.
    """
    match error:
        case aiosmtplib.SMTPRecipientsRefused(recipients=[first, *_]):
            return failure(first)
        case aiosmtplib.SMTPRecipientRefused() | aiosmtplib.SMTPDataError():
            reason = f"the mail server answered {error.code} {error.message}"
            if error.code == aiosmtplib.SMTPStatus.domain_unavailable:  # 421: it ends the connection, for any mail.
                return AwayError(reason)
            return PermanentError(reason) if error.code in _PERMANENT else TemporaryError(reason)
        case aiosmtplib.SMTPAuthenticationError():
            return AwayError(f"the mail server refused user or password of METER_SMTP_URL with {error.code}")
        case aiosmtplib.SMTPResponseException():
            return AwayError(f"the mail server answered {error.code} {error.message}")
    return AwayError(f"the mail server cannot be reached: {error or type(error).__name__}")


class DirectoryOutlet(MailOutlet):
    """Mails as files, for a trial. The name follows from the Message-ID, so a mail that is sent twice is one file."""

    slots = 1
    judges_age = False

    def __init__(self, directory: Path, sender: Sender) -> None:
        """Make the directory. Raises SettingsError if that is not possible."""
        super().__init__(sender)
        self._directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _no_directory(directory, error) from error

    async def send(self, notice: Notice, recipient: str) -> None:
        """Write a mail. It appears whole or not at all. See `Outlet.send`."""
        message_id, data = self._mail(notice, recipient)
        path = self._directory / f"{message_id.strip('<>').partition('@')[0]}.eml"
        part = path.with_suffix(".part")
        try:
            part.write_bytes(data)
            os.replace(part, path)
        except OSError as error:
            raise AwayError(f"{path} cannot be written: {error.strerror}") from error


def _no_directory(directory: Path, error: OSError) -> SettingsError:
    return unusable(
        "METER_MAIL_DIR",
        str(directory),
        f"{error.strerror}",
        "Set it to the path of a directory that the program may write to",
    )
