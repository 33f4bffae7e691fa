"""A notice as one person reads it: subject line, text and HTML, by the templates beside this file."""

import re
import textwrap
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import jinja2
from markupsafe import Markup

from meter.notify import wording
from meter.notify.rows import bot_rows, more_bots, rows
from meter.notify.sender import Sender, link_url
from meter.notify.shown import NAME_CHARACTERS, SUBJECT_NAME_CHARACTERS, one_line, shown
from schemas.notice_fields import Template
from schemas.notices import FieldValue, Notice, Recipient, template_of, typed_fields

TEMPLATES: Final = Path(__file__).parent / "templates"

TEXT_COLUMNS: Final = 72
MAX_SUBJECT_CHARACTERS: Final = 150

Layout = Literal["subject", "text", "html"]

_FONT: Final = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;"
_TEXT: Final = f"{_FONT}font-size:16px;line-height:24px;color:#1b2430;"
_SMALL: Final = f"{_FONT}font-size:14px;line-height:20px;color:#5b6675;"
STYLES: Final = {"font": Markup(_FONT), "text": Markup(_TEXT), "small": Markup(_SMALL)}
"""Styles of the HTML. Mail clients drop style sheets, so each element has its own."""


class Rendered(NamedTuple):
    """One notice for one person. `subject` is one line of at most 150 characters."""

    subject: str
    text: str
    html: str


def render(notice: Notice, recipient: Recipient, sender: Sender) -> Rendered:
    """Return the notice as `recipient` reads it. The same arguments give the same characters.

    Raises NoticeError if the notice does not fit its template.
    """
    template, fields = template_of(notice), typed_fields(notice)
    subject = _filled("subject", _context(notice, recipient, sender, template, fields, SUBJECT_NAME_CHARACTERS))
    context = _context(notice, recipient, sender, template, fields, NAME_CHARACTERS)
    text = re.sub(r"\n{3,}", "\n\n", _filled("text", context))
    return Rendered(one_line_subject(subject), text.strip("\n") + "\n", _filled("html", context))


def one_line_subject(text: str) -> str:
    """Return a subject line: no line break can leave it and begin another header."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_SUBJECT_CHARACTERS else line[: MAX_SUBJECT_CHARACTERS - 1].rstrip() + "…"


def _context(
    notice: Notice,
    recipient: Recipient,
    sender: Sender,
    template: Template,
    fields: dict[str, FieldValue],
    most_characters: int,
) -> dict[str, Any]:
    """The variables of a template: the fields, in their types, and what all notices have."""
    workspace = shown(notice.workspace_name or notice.workspace_id, most_characters)
    texts = {name: value for name, value in fields.items() if isinstance(value, str)}
    values: dict[str, Any] = fields | {name: shown(value, most_characters) for name, value in texts.items()}
    name = one_line(recipient.name)
    return values | {
        "template": template.name,
        "zone": notice.time_zone,
        "workspace": workspace,
        "scope": values.get("bot_name", workspace),
        "scope_kind": "bot" if notice.bot_id is not None else "workspace",
        "person": shown(name) if name else "",
        "rows": rows(template.fields_for(notice.bot_id), fields, notice.time_zone),
        "bots": bot_rows(fields),
        "more_bots": more_bots(fields),
        "links": [{"label": link.label, "url": link_url(link, notice, texts, sender.url)} for link in template.links],
        "sender": sender,
        "style": STYLES,
        "why": _reason(template, notice),
    }


def _reason(template: Template, notice: Notice) -> str:
    """The sentence that says why a person got the notice."""
    about = "the bot" if notice.bot_id is not None else "the workspace"
    return {
        "owner": f"You get this mail because you own {about}.",
        "bot_owner": "You get this mail because you own the bot."
        if notice.bot_id is not None
        else "You get this mail because you own bots of the workspace.",
        "workspace_owners": "You get this mail because you own the workspace.",
        "buyer": "You get this mail because you placed the order.",
        "invitee": "You get this mail because your address was entered in an invitation.",
        "person": "You get this mail because your address was entered at sign-up.",
    }[template.to]


def _filled(layout: Layout, context: dict[str, Any]) -> str:
    loaded = _environment(layout).get_template(f"{context['template']}.j2")
    return loaded.render(context, layout=f"layout.{layout}.j2")


@cache
def _environment(layout: Layout) -> jinja2.Environment:
    """The environment of one layout. An unknown variable is an error; in HTML each value is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=layout == "html",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    environment.filters |= {
        "money": wording.money,
        "count": wording.count,
        "day": _day,
        "moment": _moment,
        "line": lambda text: type(text)(" ".join(text.split())),
        "paragraphs": _html_paragraphs if layout == "html" else _text_paragraphs,
        "note": _html_note,
        "rows": _text_rows,
    }
    return environment


@jinja2.pass_context
def _day(context: jinja2.runtime.Context, at: datetime) -> str:
    return wording.day(at, context["zone"])


@jinja2.pass_context
def _moment(context: jinja2.runtime.Context, at: datetime) -> str:
    return wording.moment(at, context["zone"])


def _paragraphs(text: str) -> list[str]:
    return [" ".join(each.split()) for each in re.split(r"\n\s*\n", text) if each.strip()]


def _text_paragraphs(text: str) -> str:
    wrap = _wrapper("")
    return "\n\n".join("\n".join(wrap.wrap(each)) for each in _paragraphs(text))


def _wrapper(indent: str) -> textwrap.TextWrapper:
    return textwrap.TextWrapper(
        TEXT_COLUMNS,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _html_paragraphs(text: str) -> Markup:
    """`text` is escaped already: it is what a block of the template became."""
    return Markup("\n").join(Markup(f'<p style="margin:0 0 16px;">{each}</p>') for each in _paragraphs(text))


def _html_note(text: str) -> Markup:
    paragraphs = _html_paragraphs(text)
    return Markup(f'<div class="quiet" style="{_SMALL}margin:24px 0 -16px;">{paragraphs}</div>' if paragraphs else "")


def _text_rows(table: list[Any]) -> str:
    """A label on the left and its value on the right of it, or a long value below its label."""
    wrap = _wrapper("    ")
    width = max((len(row.label) for row in table if not row.is_long), default=0)
    lines = []
    for row in table:
        if row.is_long:
            lines += [f"  {row.label}:", *(line for each in row.lines for line in wrap.wrap(each))]
            continue
        first, *more = row.lines
        lines.append(f"  {row.label + ':':<{width + 1}}  {first}")
        lines += [f"  {'':{width + 1}}  {line}" for line in more]
    return "\n".join(lines)
