"""A real SMTP server in a process of its own: `python -m tests.notify.smtp_server DIRECTORY [PORT [tls|starttls PEM]]`.

It prints its port, then keeps each mail that it takes as a file in the order of arrival. How it answers is in the first
part of the recipient's address:

    gone          550 to RCPT
    full          452 to RCPT, always
    busy          421 to RCPT
    spam          554 to the mail itself
    hold-before   does not answer the first mail, and does not keep it
    hold-after    keeps the first mail, and does not answer it

With `tls` or `starttls` it has the certificate and key in PEM, and takes mails of the user `meter` with PASSWORD only.
"""

import asyncio
import ssl
import sys
from pathlib import Path
from typing import Any

from aiosmtpd.controller import UnthreadedController
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

PASSWORD = "open sesame"

_RCPT = {"gone": "550 no such user", "full": "452 mailbox is full", "busy": "421 too many connections"}


class Answers:
    """The server's behaviour. aiosmtpd finds the methods by their names."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._count = 0
        self._held: set[str] = set()

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer RCPT."""
        del server, session, options
        refused = _RCPT.get(address.partition("@")[0])
        if refused is None:
            envelope.rcpt_tos.append(address)
        return refused or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Answer a mail."""
        del server, session
        way = envelope.rcpt_tos[0].partition("@")[0]
        if way == "spam":
            return "554 refused as spam"
        if way == "hold-before":
            await self._hold_first(way)
        self._count += 1
        part = self._directory / "part"
        part.write_bytes(bytes(envelope.original_content or b""))
        part.rename(self._directory / f"{self._count:04}.eml")
        if way == "hold-after":
            await self._hold_first(way)
        return "250 OK"

    async def _hold_first(self, way: str) -> None:
        if way not in self._held:
            self._held.add(way)
            (self._directory / "held").touch()
            await asyncio.Event().wait()


def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    """Let one user in."""
    del server, session, envelope, mechanism
    is_right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"meter", PASSWORD.encode())
    return AuthResult(success=is_right, handled=False)


def security(kind: str, pem: str) -> dict[str, Any]:
    """The arguments of the server for an encryption; none for none."""
    if not kind:
        return {}
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    asks = {"authenticator": authenticate, "auth_required": True}
    if kind == "tls":
        return {"ssl_context": context, "auth_require_tls": False, **asks}
    return {"tls_context": context, "require_starttls": True, **asks}


async def main(directory: Path, port: int, kind: str = "", pem: str = "") -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    controller: Any = UnthreadedController(
        Answers(directory), hostname="127.0.0.1", port=port, loop=loop, **security(kind, pem)
    )
    server = await controller._create_server()
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0, *sys.argv[3:]))
