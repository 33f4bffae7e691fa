"""The seller as notices and invoices name it, and the addresses of its web pages."""

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from meter.settings import Settings
from schemas.invoices import Party
from schemas.notice_fields import Link
from schemas.notices import Notice


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """Name and postal address, one line each; the e-mail address of the seller; the URL of the product's web pages.

    `url` has no slash at its end.
    """

    name: str
    address: tuple[str, ...] = ()
    tax_id: str = ""
    email: str
    url: str


def sender_of(settings: Settings) -> Sender:
    """Return the seller that notices and invoices name."""
    return Sender(
        name=settings.meter_seller_name,
        address=tuple(line.strip() for line in settings.meter_seller_address.split(";") if line.strip()),
        tax_id=settings.meter_seller_tax_id,
        email=settings.meter_seller_email,
        url=settings.meter_page_url.rstrip("/"),
    )


def seller_of(sender: Sender) -> Party:
    """Return the seller as a party of an invoice."""
    return Party(name=sender.name, address=sender.address, tax_id=sender.tax_id, email=sender.email)


def link_url(link: Link, notice: Notice, texts: Mapping[str, str], base: str) -> str:
    """Return the URL of a link in a notice. `texts` are its fields that are text; `base` is the URL of the web pages.

    Every part from outside is quoted, so it can neither end the path nor begin another address.
    """
    workspace = f"/workspaces/{_part(notice.workspace_id)}"
    scope = f"{workspace}/bots/{_part(notice.bot_id)}" if notice.bot_id is not None else workspace
    parts = {name: _part(text) for name, text in texts.items()}
    return base + link.path.format_map(parts | {"scope": scope, "workspace_id": _part(notice.workspace_id)})


def _part(text: str) -> str:
    """One part of a path. `.` and `..` would mean another path, so their dots are quoted too."""
    quoted = quote(text, safe="", errors="replace")
    return quoted.replace(".", "%2E") if text in (".", "..") else quoted
