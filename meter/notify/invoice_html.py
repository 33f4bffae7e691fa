"""An invoice as a web page that stands alone: no scripts, no pictures, light and dark, and fit for printing."""

from functools import cache

import jinja2

from meter.notify.invoice_view import invoice_view
from meter.notify.render import TEMPLATES
from schemas.invoices import Invoice


def invoice_html(invoice: Invoice) -> str:
    """Return the invoice as HTML. The same invoice gives the same characters."""
    return _template().render(invoice_view(invoice)._asdict())


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("invoice.html.j2")
