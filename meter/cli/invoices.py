"""`python -m meter invoices`: show an invoice with sample data."""

from pathlib import Path

import click

from meter.cli.errors import refusals
from meter.cli.notices import write_file
from meter.cli.seller import font_paths
from meter.notify.sender import sender_of
from meter.settings import load


@click.group("invoices")
def invoices_group() -> None:
    """Show what an invoice looks like.

    \b
    It has your seller's name and address: set METER_SELLER_NAME,
    METER_SELLER_ADDRESS, METER_SELLER_TAX_ID, METER_SELLER_EMAIL.
      python -m meter invoices preview
      python -m meter invoices preview --output invoice.html
    """


@invoices_group.command("preview")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("invoice-preview.pdf"),
    show_default=True,
    help="The file to write: a PDF file, or a web page if the name ends in .html.",
)
def preview_command(output: Path) -> None:
    """Write an invoice with sample data to a file.

    The PDF file has its fonts in it. They have Latin, Greek, Cyrillic, Arabic and Hebrew letters. For others, such as
    Japanese, name font files in METER_INVOICE_FONTS.
    """
    if output.suffix.lower() not in (".pdf", ".html"):
        raise click.UsageError(f"{output}: the name must end in .pdf or .html")
    with refusals():
        data, missing = _preview(output.suffix.lower())
    write_file(output, data)
    if missing:
        click.echo(
            f"No font has these characters, so each is a question mark in the file: {missing}. "
            "Set METER_INVOICE_FONTS to font files that have them.",
            err=True,
        )


def _preview(suffix: str) -> tuple[bytes, str]:
    # The PDF and template libraries are loaded here, so that workers do not have them in memory.
    from meter.notify.invoice_html import invoice_html
    from meter.notify.invoice_pdf import FontError, invoice_pdf
    from meter.notify.samples import sample_invoice

    settings = load()
    invoice = sample_invoice(sender_of(settings))
    if suffix == ".html":
        return invoice_html(invoice).encode(), ""
    try:
        return invoice_pdf(invoice, font_paths(settings))
    except FontError as error:
        raise click.ClickException(f"METER_INVOICE_FONTS: {error}") from error
