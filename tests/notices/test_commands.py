"""`python -m meter notices` and `invoices`: what they print, write and refuse."""

import email
import email.policy
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from meter.cli.main import main
from schemas.notice_templates import TEMPLATES

LOADED = """
import sys
import {module}
print([name for name in ("jinja2", "fpdf", "PIL", "fontTools", "uharfbuzz") if name in sys.modules])
"""


def meter(*words: str | Path, **variables: str) -> Result:
    """Run a command of the meter's in this process."""
    return CliRunner().invoke(main, [str(word) for word in words], env=variables)


def test_the_list_names_every_notice_with_trigger_recipients_fields_and_links() -> None:
    done = meter("notices", "list")
    assert done.exit_code == 0
    for template in TEMPLATES.values():
        assert f"{template.name}\n  when    {template.trigger}\n" in done.output
        assert all(field.name in done.output for field in template.fields)
    assert "minimum_credit_micros (if auto_reload_status is Activated)" in done.output
    assert f"{len(TEMPLATES)} notices." in done.output


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_notice_has_a_preview(name: str) -> None:
    done = meter("notices", "preview", name)
    assert done.exit_code == 0
    assert done.output.startswith("To: mia@example.com\nSubject: ")


def test_a_preview_has_the_seller_and_the_links_of_the_settings() -> None:
    done = meter(
        "notices",
        "preview",
        "low-balance",
        METER_SELLER_NAME="Acme",
        METER_SELLER_ADDRESS="2 Road; Town ;",
        METER_PAGE_URL="https://acme.example/meter/",
    )
    assert "\nAcme\n2 Road\nTown\nhttps://acme.example/meter\n" in done.output
    assert "https://acme.example/meter/workspaces/corner-books/bots/returns/auto-reload" in done.output


def test_a_preview_is_written_as_html_and_as_a_mail(tmp_path: Path) -> None:
    page, mail = tmp_path / "a.html", tmp_path / "a.eml"
    done = meter("notices", "preview", "purchase", "--format", "html", "--output", page)
    assert (done.exit_code, done.output) == (0, f"written to {page}\n")
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert meter("notices", "preview", "purchase", "--format", "eml", "--output", mail).exit_code == 0
    read = email.message_from_bytes(mail.read_bytes(), policy=email.policy.default)
    assert read["From"] == "Conversation Meter <billing@localhost>"


def test_open_hands_a_web_page_to_a_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def launch(url: str) -> int:
        opened.append(Path(url).read_text(encoding="utf-8"))
        Path(url).unlink()
        return len(opened) - 1

    monkeypatch.setattr("click.launch", launch)
    assert meter("notices", "preview", "purchase", "--open").exit_code == 0
    assert opened[0].startswith("<!DOCTYPE html>")
    failed = meter("notices", "preview", "purchase", "--open")
    assert (failed.exit_code, "open the file yourself" in failed.output) == (1, True)


@pytest.mark.parametrize(
    ("name", "advice"),
    [("low-balence", "Did you mean low-balance?"), ("zzz", "`python -m meter notices list` shows all names.")],
)
def test_an_unknown_notice_is_refused_with_near_names(name: str, advice: str) -> None:
    done = meter("notices", "preview", name)
    assert done.exit_code == 2
    assert f"Error: there is no notice '{name}'. {advice}" in done.output


@pytest.mark.parametrize("command", [("notices", "preview", "purchase"), ("invoices", "preview")])
def test_a_file_that_cannot_be_written_is_refused(command: tuple[str, ...], tmp_path: Path) -> None:
    done = meter(*command, "--output", tmp_path / "missing" / "a.pdf")
    assert done.exit_code == 1
    assert "cannot be written: No such file or directory. Give another --output." in done.output


def test_an_invoice_is_written_as_pdf_and_as_html(tmp_path: Path) -> None:
    file, page = tmp_path / "a.pdf", tmp_path / "a.html"
    assert meter("invoices", "preview", "--output", file).output == f"written to {file}\n"
    assert file.read_bytes().startswith(b"%PDF-")
    assert meter("invoices", "preview", "--output", page, METER_SELLER_NAME="Acme").exit_code == 0
    assert "<b><bdi>Acme</bdi></b>" in page.read_text(encoding="utf-8")


def test_an_invoice_names_the_letters_that_no_font_has(tmp_path: Path) -> None:
    done = meter("invoices", "preview", "--output", tmp_path / "a.pdf", METER_SELLER_NAME="東京")
    assert done.exit_code == 0
    assert "each is a question mark in the file: 京東. Set METER_INVOICE_FONTS" in done.output


def test_an_invoice_of_another_kind_of_file_is_refused() -> None:
    done = meter("invoices", "preview", "--output", "a.doc")
    assert (done.exit_code, "must end in .pdf or .html" in done.output) == (2, True)


def test_a_font_that_is_missing_is_refused(tmp_path: Path) -> None:
    done = meter("invoices", "preview", "--output", tmp_path / "a.pdf", METER_INVOICE_FONTS="/missing.ttf")
    assert (done.exit_code, "METER_INVOICE_FONTS: /missing.ttf" in done.output) == (1, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("METER_PAGE_URL", "meter.example.com"),
        ("METER_PAGE_URL", "javascript:alert(1)"),
        ("METER_PAGE_URL", "https://a.example/?q"),
        ("METER_PAGE_URL", "https://user:secret@a.example"),
        ("METER_SELLER_EMAIL", "Acme <a@b.example>"),
        ("METER_SELLER_EMAIL", "a@b.example\nBcc: c@d.example"),
    ],
)
def test_a_setting_that_would_break_a_mail_is_refused(name: str, value: str) -> None:
    done = meter("notices", "preview", "purchase", **{name: value})
    assert done.exit_code == 2
    assert f"Error: {name}=" in done.output


@pytest.mark.parametrize("module", ["meter.worker", "meter.cli.main", "schemas.notices", "meter.core.invoices"])
def test_a_worker_loads_no_template_or_pdf_library(module: str) -> None:
    code = LOADED.format(module=module)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "[]\n"
