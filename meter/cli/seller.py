"""The seller's name, address, links and fonts, from the settings."""

from pathlib import Path

from meter.notify.sender import Sender
from meter.settings import Settings


def sender_of(settings: Settings) -> Sender:
    """Return the seller that notices and invoices name."""
    return Sender(
        name=settings.meter_seller_name,
        address=tuple(line.strip() for line in settings.meter_seller_address.split(";") if line.strip()),
        tax_id=settings.meter_seller_tax_id,
        email=settings.meter_seller_email,
        url=settings.meter_page_url.rstrip("/"),
    )


def font_paths(settings: Settings) -> list[Path]:
    """Return the font files that an invoice may use besides its own."""
    return [Path(each.strip()) for each in settings.meter_invoice_fonts.split(",") if each.strip()]
