"""The fonts of invoices, from the settings."""

from pathlib import Path

from meter.settings import Settings


def font_paths(settings: Settings) -> list[Path]:
    """Return the font files that an invoice may use besides its own."""
    return [Path(each.strip()) for each in settings.meter_invoice_fonts.split(",") if each.strip()]
