"""An invoice as a PDF file, with fonts inside it, so that it looks the same everywhere and can be kept for years."""

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC
from pathlib import Path
from typing import Final, NamedTuple

from fpdf import FPDF
from fpdf.errors import FPDFException
from fpdf.fonts import TTFFont

from meter.notify.invoice_view import InvoiceView, PartyView, invoice_view
from schemas.invoices import Invoice

FONTS: Final = Path(__file__).parent / "fonts"

_INK: Final = (27, 36, 48)
_QUIET: Final = (91, 102, 117)
_LINE: Final = (200, 207, 216)

# Millimetres of an A4 sheet.
_MARGIN_MM: Final = 20.0
_WIDTH_MM: Final = 170.0
_HALF_MM: Final = 81.0
_COLUMNS_MM: Final = (92.0, 20.0, 29.0, 29.0)
_ROW_MM: Final = 6.0

_MOST_BESIDE_CHARACTERS: Final = 800
"""The longest text of a party that stands beside the other one. It surely ends on the first page."""

_INVISIBLE: Final = dict.fromkeys(map(ord, "\u2066\u2067\u2068\u2069\u200c\u200d"))
"""Characters without a picture of their own: the layout knows the direction of a text by its letters."""


class FontError(Exception):
    """A font file cannot be used. The message names it."""


class InvoicePdf(NamedTuple):
    """The file, and the characters that no font has: each stands as a question mark in the file."""

    data: bytes
    missing: str


def invoice_pdf(invoice: Invoice, more_fonts: Sequence[Path] = ()) -> InvoicePdf:
    """Return the invoice as a PDF file of one or more A4 pages. The same invoice and fonts give the same bytes.

    The file's date is that of the invoice, because the time of its making would differ. `more_fonts` are asked in turn
    for characters that the built-in font, with Latin, Greek, Cyrillic, Arabic and Hebrew letters, does not have. Raises
    FontError if one of them cannot be used.
    """
    view = invoice_view(invoice)
    sheet = _Sheet(view, more_fonts)
    sheet.set_creation_date(invoice.issued_at.astimezone(UTC))
    sheet.draw()
    return InvoicePdf(bytes(sheet.output()), "".join(sorted(sheet.missing)))


class _Sheet(FPDF):
    """The drawing of one invoice."""

    def __init__(self, view: InvoiceView, more_fonts: Sequence[Path]) -> None:
        super().__init__(format="A4")
        self._view = view
        self.missing: set[str] = set()
        self.set_margin(_MARGIN_MM)
        self.set_auto_page_break(auto=True, margin=25)
        self.set_title(f"Invoice {view.number}")
        self.set_author(_visible(view.seller.name))
        self.set_lang("en")
        logging.getLogger("fontTools").setLevel(logging.ERROR)
        self.add_font("text", "", FONTS / "DejaVuSans.ttf")
        self.add_font("text", "B", FONTS / "DejaVuSans-Bold.ttf")
        for number, path in enumerate(more_fonts):
            self._add_fallback(f"more{number}", path)
        if more_fonts:
            self.set_fallback_fonts([f"more{number}" for number in range(len(more_fonts))], exact_match=False)
        self._covered = _covered(font for font in self.fonts.values() if isinstance(font, TTFFont))
        self.set_text_shaping(True)

    def _add_fallback(self, family: str, path: Path) -> None:
        try:
            self.add_font(family, "", path)
        except (OSError, FPDFException, ValueError, KeyError) as error:
            raise FontError(f"{path}: this font cannot be used: {error}") from error
        except Exception as error:  # fontTools has no common class for what a broken file causes.
            raise FontError(f"{path}: this is no font file: {type(error).__name__}") from error

    def footer(self) -> None:
        """Number the page. The library calls this at the end of each one."""
        self.set_y(-15)
        self._style(8, _QUIET)
        self.cell(_WIDTH_MM, 5, f"Invoice {self._shown(self._view.number)}, page {self.page_no()}", align="R")

    def draw(self) -> None:
        """Draw all of the invoice. Called once."""
        view = self._view
        self.add_page()
        self._style(20, _INK, bold=True)
        self._lines(_WIDTH_MM, 10, f"Invoice {view.number}")
        self.ln(6)
        self._parties(view.seller, view.buyer)
        self.ln(8)
        for row in view.facts:
            self._fact(row.label, row.lines[0])
        self._rule()
        self.ln(8)
        self._purchases(view)
        self.ln(8)
        self._style(9, _QUIET)
        self._lines(_WIDTH_MM, 5, view.thanks)

    def _parties(self, seller: PartyView, buyer: PartyView) -> None:
        """Draw both side by side, or one below the other if one needs most of a page."""
        top_mm = self.get_y()
        right_mm = _MARGIN_MM + _WIDTH_MM - _HALF_MM
        if max(seller.characters(), buyer.characters()) > _MOST_BESIDE_CHARACTERS:
            self._party("From", seller, _MARGIN_MM)
            self.ln(6)
            self._party("To", buyer, _MARGIN_MM)
            return
        self._party("From", seller, _MARGIN_MM)
        bottom_mm = self.get_y()
        self.set_y(top_mm)
        self._party("To", buyer, right_mm)
        self.set_y(max(bottom_mm, self.get_y()))

    def _party(self, heading: str, party: PartyView, x_mm: float) -> None:
        self._style(9, _QUIET)
        self._lines(_HALF_MM, 5, heading, x_mm)
        self._style(10, _INK, bold=True)
        self._lines(_HALF_MM, 5.5, party.name, x_mm)
        self._style(10, _INK)
        for line in party.lines:
            self._lines(_HALF_MM, 5.5, line, x_mm)

    def _fact(self, label: str, value: str) -> None:
        self._rule()
        top_mm = self.get_y() + 1
        self.set_y(top_mm)
        self._style(9, _QUIET)
        self._lines(50, _ROW_MM, label)
        self.set_y(top_mm)
        self._style(10, _INK)
        self._lines(_WIDTH_MM - 50, _ROW_MM, value, _MARGIN_MM + 50)
        self.ln(1)

    def _purchases(self, view: InvoiceView) -> None:
        self._style(9, _QUIET)
        self._cells(("Description", "Quantity", "Price", "Amount"))
        for line in view.lines:
            self._rule()
            self._style(10, _INK)
            self._cells((line.description, line.quantity, line.price, line.amount))
        self._rule(strong=True)
        self._style(11, _INK, bold=True)
        self._cells(("Total in US dollars", "", "", view.total))

    def _cells(self, texts: Sequence[str]) -> None:
        """Draw one row of the table of purchases. The first text may take several lines, the others are short."""
        top_mm, x_mm = self.get_y() + 1, _MARGIN_MM + _COLUMNS_MM[0]
        for width_mm, text in zip(_COLUMNS_MM[1:], texts[1:], strict=True):
            self.set_xy(x_mm, top_mm)
            self.cell(width_mm, _ROW_MM, self._shown(text), align="R")
            x_mm += width_mm
        self.set_y(top_mm)
        self._lines(_COLUMNS_MM[0], _ROW_MM, texts[0])
        self.ln(1)

    def _lines(self, width_mm: float, height_mm: float, text: str, x_mm: float = _MARGIN_MM) -> None:
        """Write a text in as many lines as it needs, from the left, and go to the line below it."""
        self.set_x(x_mm)
        self.multi_cell(width_mm, height_mm, self._shown(text), align="L", padding=0, new_x="LMARGIN", new_y="NEXT")

    def _rule(self, *, strong: bool = False) -> None:
        self.set_draw_color(*(_INK if strong else _LINE))
        self.line(_MARGIN_MM, self.get_y(), _MARGIN_MM + _WIDTH_MM, self.get_y())

    def _style(self, points: int, colour: tuple[int, int, int], *, bold: bool = False) -> None:
        self.set_font("text", "B" if bold else "", points)
        self.set_text_color(*colour)

    def _shown(self, text: str) -> str:
        """The text with a question mark for each character that no font has."""
        visible = _visible(text)
        self.missing |= {each for each in visible if ord(each) not in self._covered}
        return "".join("?" if each in self.missing else each for each in visible)


def _visible(text: str) -> str:
    return text.translate(_INVISIBLE)


def _covered(fonts: Iterable[TTFFont]) -> set[int]:
    """The characters that one of the fonts has."""
    return {codepoint for font in fonts for codepoint in font.cmap}
