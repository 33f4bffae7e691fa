"""Every notice is shown whole and safe, with what people wrote in its fields, and always the same."""

import re
from html.parser import HTMLParser
from typing import Any, Final

import msgspec
import pytest

from meter.notify.render import MAX_SUBJECT_CHARACTERS, TEXT_COLUMNS, render
from meter.notify.samples import RECIPIENT, SENDER, sample
from schemas.notice_templates import TEMPLATES
from schemas.notices import Notice, typed_fields
from tests.notices.goldens import FOLDER, NAMES, rendered

HOSTILE: Final = {
    "markup": "<script src=//evil.example></script><img src=x onerror=alert(1)>\"'&{{ 7*7 }}{% raw %}",
    "line breaks": "Shop\r\nBcc: all@example.com\r\n\r\n<h1>\u2028\u2029\x0b\x0c\x85",
    "ten kilobytes": "Wörld" * 2_000,
    "right to left": "متجر \u202eالكتب\u2066 עברית",  # noqa: RUF001
    "emoji": "👩‍👩‍👧‍👦" * 30 + "🛍️",
    "nothing to see": "\u200b\u200e\ufeff",
    "half a surrogate pair": "a\ud800b",
}
VOID: Final = {"meta", "br"}
ATTRIBUTES: Final = {
    "href",
    "style",
    "class",
    "lang",
    "dir",
    "charset",
    "name",
    "content",
    "role",
    "width",
    "align",
} | {
    "cellpadding",
    "cellspacing",
    "border",
    "colspan",
}


class Page(HTMLParser):
    """Elements, links and text of an HTML document. Raises AssertionError where tags do not nest."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(document)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.words.append(data)


def hostile(name: str, text: str) -> Notice:
    """The sample of a template with `text` wherever a person or a program may write one."""
    notice = sample(name)
    open_fields = {each.name: each.kind for each in TEMPLATES[name].fields_for(notice.bot_id) if not each.choices}
    fields: dict[str, Any] = dict(notice.fields)
    for field, kind in open_fields.items():
        if field not in fields:
            continue
        if kind in ("text", "message"):
            fields[field] = text
        elif kind == "texts":
            fields[field] = [text, text]
        elif kind in ("bots", "bot_usage"):
            fields[field] = [{**each, "bot_name": text} for each in fields[field]]
    return msgspec.structs.replace(notice, fields=fields, workspace_name=text, workspace_id=text[:200])


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("name", TEMPLATES)
def test_what_people_write_changes_no_header_no_markup_and_no_link(name: str, text: str) -> None:
    notice = hostile(name, text)
    found = render(notice, msgspec.structs.replace(RECIPIENT, name=text), SENDER)
    assert len(found.subject) <= MAX_SUBJECT_CHARACTERS
    assert re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", found.subject) is None
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", found.text) is None
    found.text.encode()
    page = Page(found.html)
    harmless = {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "table",
        "tr",
        "td",
        "h1",
        "div",
        "p",
        "a",
        "br",
        "bdi",
    }
    assert page.tags <= harmless
    assert page.attributes <= ATTRIBUTES
    assert all(link == SENDER.url or link.startswith(f"{SENDER.url}/") for link in page.links)
    assert len(found.html) < 60_000


@pytest.mark.parametrize("name", TEMPLATES)
def test_everything_that_people_read_is_in_text_and_html(name: str) -> None:
    """Each value of a field with a label, each link, the greeting, the seller and the reason for the mail."""
    notice = sample(name)
    found = render(notice, RECIPIENT, SENDER)
    words = " ".join(" ".join(Page(found.html).words).split())
    plain = " ".join(found.text.split())
    values = [value for value in typed_fields(notice).values() if isinstance(value, str)]
    hidden = {"verification_token", "invitation_token", "measure", "period", "decision", "expires_month"}
    shown = [value for key, value in notice.fields.items() if isinstance(value, str) and key not in hidden]
    expected = [each for each in shown if each in values and not re.match(r"\d{4}-\d\d-\d\dT", each)]
    for part in [*expected, "Hello Mia", *SENDER.address, SENDER.name, "You get this mail because"]:
        assert part.splitlines()[0] in words, part
        assert part.splitlines()[0] in plain, part
    for link in TEMPLATES[name].links:
        assert link.label in words
        assert f"{link.label}: {SENDER.url}/" in plain


@pytest.mark.parametrize("name", [name for name, template in TEMPLATES.items() if template.about == "scope"])
def test_a_notice_about_shared_credit_speaks_of_the_workspace(name: str) -> None:
    notice = sample(name)
    fields = {key: value for key, value in notice.fields.items() if key != "bot_name"}
    found = render(msgspec.structs.replace(notice, bot_id=None, fields=fields), RECIPIENT, SENDER)
    assert "Corner Books" in " ".join(found.text.split())
    assert "/workspaces/corner-books" in found.text or "/invitations/" in found.text or "/plans" in found.text
    assert re.search(r"\bbot Returns|/bots/", found.text) is None


@pytest.mark.parametrize("name", TEMPLATES)
def test_lines_of_a_text_fit_a_mail(name: str) -> None:
    lines = render(sample(name), RECIPIENT, SENDER).text.splitlines()
    assert [line for line in lines if len(line) > TEXT_COLUMNS + 8 and not line.startswith("https://")] == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_html_is_for_light_and_dark_and_loads_nothing(name: str) -> None:
    """No picture, script, font or style from elsewhere: nothing tells that a person has read the mail."""
    found = render(sample(name), RECIPIENT, SENDER).html
    assert 'name="color-scheme" content="light dark"' in found
    assert "prefers-color-scheme: dark" in found
    assert re.search(r"url\(|@import|<link|<img|<script|src=", found) is None


@pytest.mark.parametrize("name", NAMES)
def test_the_words_are_those_that_were_read_and_kept(name: str) -> None:
    """A change of words shows in the difference of a file. `python -m tests.notices.goldens` writes them again."""
    assert rendered(name) == (FOLDER / f"{name}.txt").read_text(encoding="utf-8")


def test_the_same_notice_is_the_same_mail() -> None:
    assert render(sample("purchase"), RECIPIENT, SENDER) == render(sample("purchase"), RECIPIENT, SENDER)


def test_a_person_without_a_name_is_greeted_too() -> None:
    found = render(sample("purchase"), msgspec.structs.replace(RECIPIENT, name=" \n"), SENDER)
    assert "\nHello,\n" in found.text


def test_a_mail_lists_the_first_bots_and_counts_the_others() -> None:
    bots = [{"bot_name": f"bot {n}", "free_used_micros": 0, "status": "Inactive"} for n in range(100)]
    notice = msgspec.structs.replace(sample("free-exhausted-workspace"), fields={"bots": bots, "bot_count": 10_000})
    found = render(notice, RECIPIENT, SENDER).text
    assert [n for n in range(100) if f"bot {n}:" in found] == list(range(20))
    assert "and 9,980 more" in found


def test_one_bot_is_not_spoken_of_as_several() -> None:
    notice = sample("free-exhausted-bots")
    one = msgspec.structs.replace(notice, fields={"bots": notice.fields["bots"][:1], "bot_count": 1})
    assert render(one, RECIPIENT, SENDER).subject == "Free credit used up: 1 of your bots is inactive"
    assert render(notice, RECIPIENT, SENDER).subject == "Free credit used up: 2 of your bots are inactive"


@pytest.mark.parametrize(
    ("measure", "subject"),
    [
        ("balance", "Balance of Returns helper reached $100.00"),
        ("spend_day", "Returns helper spent $100.00 today"),
        ("spend_month", "Returns helper spent $100.00 this month"),
    ],
)
def test_a_threshold_says_what_was_measured(measure: str, subject: str) -> None:
    notice = sample("threshold-crossed")
    found = render(msgspec.structs.replace(notice, fields=notice.fields | {"measure": measure}), RECIPIENT, SENDER)
    assert found.subject == subject


def test_a_threshold_of_free_credit_is_in_percent() -> None:
    fields = {"bot_name": "A", "measure": "free_left_percent", "threshold_percent": 20, "value_percent": 19}
    for name, words in (("threshold-crossed", "20% of free credit left for A"), ("threshold-recovered", "Now: 19%")):
        found = render(msgspec.structs.replace(sample(name), fields=fields), RECIPIENT, SENDER)
        assert words in " ".join((found.subject + "\n" + found.text).split())


def test_a_refused_upgrade_gives_the_reason() -> None:
    fields = {"bot_name": "A", "decision": "refused", "reason": "The contract is not signed."}
    found = render(msgspec.structs.replace(sample("upgrade-decided"), fields=fields), RECIPIENT, SENDER)
    assert "The contract is not signed." in found.text
    assert "Welcome" not in found.subject + found.text + found.html


@pytest.mark.parametrize("name", ["purchase", "auto-reload"])
def test_a_purchase_without_auto_reload_names_no_amounts_of_it(name: str) -> None:
    """Z7, Z8."""
    notice = sample(name)
    off = {key: value for key, value in notice.fields.items() if key not in ("auto_reload_amount_micros",)}
    off = {key: value for key, value in off.items() if key != "minimum_credit_micros"}
    found = render(
        msgspec.structs.replace(notice, fields=off | {"auto_reload_status": "Not Activated"}), RECIPIENT, SENDER
    )
    assert "Not Activated" in found.text
    assert "Auto-reload amount" not in found.text
    assert "Minimum credit" not in found.text
