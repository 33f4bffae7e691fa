"""An invoice follows from the order, and its files from the invoice."""

import hashlib
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from meter.core.invoices import invoice
from meter.notify.invoice_html import invoice_html
from meter.notify.invoice_pdf import FontError, invoice_pdf
from meter.notify.samples import SENDER, sample_invoice
from meter.notify.sender import seller_of
from schemas.invoices import Invoice, Numbering, PaidOrder, Party, decode_invoice, encode_invoice
from tests.notices.test_render import HOSTILE, Page

ORDER: Final = PaidOrder(
    workspace_id="corner-books",
    workspace_name="Corner Books",
    order_id="o-1",
    kind="manual",
    amount_micros=100_000_000,
    method="Visa ··4242",
    plan="Standard",
    paid_at=datetime(2026, 11, 30, 23, 30, tzinfo=UTC),
    buyer=Party(name="Corner Books GmbH"),
)
NUMBERING: Final = Numbering(prefix="EM-", next_number=7)

FINGERPRINT: Final = """
import hashlib
from meter.notify.invoice_pdf import invoice_pdf
from meter.notify.samples import sample_invoice
print(hashlib.sha256(invoice_pdf(sample_invoice()).data).hexdigest())
"""


def made(**changes: Any) -> Invoice:
    """The invoice of the order with some of its fields changed."""
    return invoice(msgspec.structs.replace(ORDER, **changes), seller_of(SENDER), NUMBERING)


def to(name: str, *address: str) -> Invoice:
    """The sample invoice to another buyer."""
    return msgspec.structs.replace(sample_invoice(), buyer=Party(name=name, address=address))


def test_an_invoice_has_what_was_paid_by_whom_and_when() -> None:
    """F9, G7, Z9: number, date, plan, plan price, total."""
    found = made()
    assert found.invoice_number == "EM-000007"
    assert (found.issued_at, found.plan, found.total_micros) == (ORDER.paid_at, "Standard", 100_000_000)
    assert (found.seller.name, found.buyer.name) == ("Example Meter Inc.", "Corner Books GmbH")
    assert sum(line.amount_micros for line in found.lines) == found.total_micros
    assert decode_invoice(encode_invoice(found)) == found


@pytest.mark.parametrize(
    ("changes", "description"),
    [
        ({}, "Prepaid credit, for the workspace Corner Books"),
        ({"workspace_name": ""}, "Prepaid credit, for the workspace corner-books"),
        ({"kind": "auto", "bot_id": "b", "bot_name": "Bot"}, "Prepaid credit, by auto-reload, for the bot Bot"),
        (
            {"kind": "support", "plan": "Enhanced Support", "period": "year", "bot_id": "b"},
            "Enhanced Support, one year, for the bot b",
        ),
    ],
)
def test_a_line_says_what_was_bought(changes: dict[str, Any], description: str) -> None:
    assert made(**changes).lines[0].description == description


@pytest.mark.parametrize(("number", "words"), [(1, "EM-000001"), (999_999, "EM-999999"), (1_000_000, "EM-1000000")])
def test_numbers_follow_one_another(number: int, words: str) -> None:
    numbering = Numbering(prefix="EM-", next_number=number)
    assert invoice(ORDER, seller_of(SENDER), numbering).invoice_number == words


@pytest.mark.parametrize("amount_micros", [0, 9_999, 100_000_001])
def test_an_amount_that_no_order_can_have_is_a_bug(amount_micros: int) -> None:
    with pytest.raises(AssertionError):
        made(amount_micros=amount_micros)


@pytest.mark.parametrize("numbering", [{"prefix": "EM\n", "next_number": 1}, {"prefix": "EM-", "next_number": 0}])
def test_a_number_that_is_none_is_refused(numbering: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(numbering, Numbering)


def test_html_shows_all_of_it_and_loads_nothing() -> None:
    page = Page(invoice_html(sample_invoice()))
    words = " ".join(" ".join(page.words).split())
    for part in ("EM-000042", "Corner Books GmbH", "10115 Berlin", "$1,250.00", "30 November 2026", "Visa ··4242"):
        assert part in words
    assert page.links == []
    assert page.tags.isdisjoint({"script", "img", "link", "iframe"})


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_people_write_changes_neither_html_nor_pdf(text: str) -> None:
    found = msgspec.structs.replace(to(text, text, text), method=text, plan=text, order_id=text, invoice_number=text)
    page = Page(invoice_html(found))
    assert page.tags.isdisjoint({"script", "img", "link", "iframe"})
    assert invoice_pdf(found).data.startswith(b"%PDF-")


def test_the_same_invoice_is_the_same_file_in_every_process() -> None:
    """No time of its making is in it, so that it can be compared with what was kept."""
    here = hashlib.sha256(invoice_pdf(sample_invoice()).data).hexdigest()
    done = subprocess.run([sys.executable, "-c", FINGERPRINT], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == here
    other = msgspec.structs.replace(sample_invoice(), invoice_number="EM-000043")
    assert hashlib.sha256(invoice_pdf(other).data).hexdigest() != here


def test_the_date_of_the_file_is_that_of_the_invoice() -> None:
    data = invoice_pdf(sample_invoice()).data
    assert b"/CreationDate (D:20261130130500" in data
    assert b"/ModDate" not in data


@pytest.mark.parametrize("name", ["Łódź Ελλάδα Москва", "شركة الكتب", "רחוב הספרים", "Ünïcode & Söhne — №1 ₽ €"])
def test_the_built_in_font_has_the_letters_of_many_names(name: str) -> None:
    assert invoice_pdf(to(name)).missing == ""


def test_letters_that_no_font_has_are_named() -> None:
    found = invoice_pdf(to("東京書店 Books"))
    assert found.missing == "京店書東"
    assert found.data == invoice_pdf(to("???? Books")).data


def test_another_font_has_the_letters_that_the_built_in_one_lacks(tmp_path: Path) -> None:
    path = tmp_path / "small.ttf"
    small_font(path, "東京")
    found = invoice_pdf(to("東京書店 Books"), [path])
    assert found.missing == "店書"
    assert len(found.data) > len(invoice_pdf(to("東京書店 Books")).data)


@pytest.mark.parametrize("content", [None, b"", b"no font", b"\x00\x01\x00\x00" + b"\xff" * 200])
def test_a_file_that_is_no_font_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.ttf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FontError, match=r"broken\.ttf"):
        invoice_pdf(sample_invoice(), [path])


def test_long_names_take_more_lines_and_pages_and_are_not_cut() -> None:
    """A party's name and address are legal text."""
    long = to("N" * 512, *("A" * 512 for _ in range(12)))
    assert "N" * 512 in invoice_html(long)
    assert pages(invoice_pdf(sample_invoice()).data) == 1
    assert pages(invoice_pdf(long).data) > 1


def pages(data: bytes) -> int:
    """How many pages a PDF file has."""
    return data.count(b"/Type /Page\n")


def small_font(path: Path, characters: str) -> None:
    """Write a font with a square for each of the characters."""
    pen = TTGlyphPen(None)
    for number, point in enumerate([(0, 0), (0, 700), (700, 700), (700, 0)]):
        pen.lineTo(point) if number else pen.moveTo(point)
    pen.closePath()
    square = pen.glyph()
    names = {ord(each): f"c{number}" for number, each in enumerate(characters)}
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names)
    builder.setupGlyf(dict.fromkeys([".notdef", *names.values()], square))
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *names.values()], (800, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Small", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
