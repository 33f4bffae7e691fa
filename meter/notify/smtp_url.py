"""METER_SMTP_URL: where the mail server is, and how to connect to it."""

import ipaddress
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

import msgspec

from schemas.environment import SettingsError

Security = Literal["none", "tls", "starttls"]

_SCHEMES: Final[dict[str, tuple[Security, int]]] = {
    "smtp": ("none", 25),
    "smtps": ("tls", 465),
    "smtp+starttls": ("starttls", 587),
}
"""Scheme -> the encryption, and the port if the URL has none."""


class MailServer(msgspec.Struct, frozen=True):
    """A mail server. Without a user no password is sent."""

    host: str
    port: int
    security: Security
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        """Show where the server is, and neither user nor password."""
        return f"{self.host}:{self.port}"


def parse(url: str) -> MailServer:
    """Read METER_SMTP_URL. User and password are percent-encoded. Raises SettingsError, which does not show it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _unusable("it is not a URL with a host and a port") from None
    if parts.scheme not in _SCHEMES:
        raise _unusable("it does not begin with smtp://, smtps:// or smtp+starttls://")
    if not host or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise _unusable("it has no host, or more than a host and a port")
    security, usual_port = _SCHEMES[parts.scheme]
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) is not bool(password):
        raise _unusable("it has a user without a password, or a password without a user")
    if user and security == "none" and not _is_loopback(host):
        raise _unusable("it would send the password without encryption")
    return MailServer(host, usual_port if port is None else port, security, user, password)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _unusable(why: str) -> SettingsError:
    return SettingsError(
        f"METER_SMTP_URL, not shown as it may hold a password, cannot be used: {why}. "
        "Set it to smtps://USER:PASSWORD@HOST:465, smtp+starttls://USER:PASSWORD@HOST:587, or smtp://HOST:25 "
        "for a server that asks for no password."
    )
