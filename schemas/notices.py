"""A record of the topic `notices`: one message to the people of a workspace, and the check that it fits its template.

The templates with their fields are in `schemas/notice_templates.py`. A notice says what happened in fields, never in
sentences: `meter/notify/` writes the sentences.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, NoReturn

import msgspec

from schemas.events import Instant, Name
from schemas.forms import Form
from schemas.money import MOST_MICROS
from schemas.notice_fields import Field, Kind, Template
from schemas.notice_templates import TEMPLATES

MAX_TEXT_CHARACTERS: Final = 16_384
"""The longest text of a field: a person's message or reason."""

MAX_BOTS: Final = 100
"""The most bots that one notice lists; `bot_count` says how many there are. Their names take 6.5 MiB at most."""

_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
ADDRESS_PATTERN: Final = rf"^{_ATOM}(\.{_ATOM})*@{_LABEL}(\.{_LABEL})*\Z"

Address = Annotated[str, msgspec.Meta(max_length=320, pattern=ADDRESS_PATTERN)]
"""An e-mail address in ASCII without a display name or quotes: it can stand in a mail's header as it is."""

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT_CHARACTERS)]
Micros = Annotated[int, msgspec.Meta(ge=-MOST_MICROS, le=MOST_MICROS)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
Percent = Annotated[int, msgspec.Meta(ge=0, le=100)]
Month = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])\Z")]
"""A calendar month as `2027-03`: the expiry that is printed on a card."""

BotStatus = Literal["Sufficient funds", "Low Balance", "Using Free Credits", "Inactive"]
"""The balance status of a bot, in the words that people read (`docs/DOMAIN.md`)."""


class BotLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One bot in a notice about several, with its status."""

    bot_name: Text
    status: BotStatus


class BotUsageLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One bot in a notice about several: the free credit that it used, in micro-dollars, and its status."""

    bot_name: Text
    free_used_micros: Micros
    status: BotStatus


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """One person who gets a notice. `user_id` is empty for a person who is only invited; `name` is for the greeting."""

    email: Address
    user_id: Annotated[str, msgspec.Meta(max_length=512)] = ""
    name: Annotated[str, msgspec.Meta(max_length=MAX_TEXT_CHARACTERS)] = ""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One message to each of `to`, at least one person.

    `notice_id` follows from what caused the notice, so a repeat has the same. `bot_id` is set if the notice is about
    one bot. `fields` are those of the template; a time in them is RFC 3339, an amount is in micro-dollars.
    `time_zone` is the workspace's, an IANA name: people read times in it.
    """

    notice_id: Name
    template: Name
    workspace_id: Name
    bot_id: Name | None = None
    to: Annotated[tuple[Recipient, ...], msgspec.Meta(min_length=1, max_length=1_000)]
    fields: dict[str, Any]
    occurred_at: Instant
    workspace_name: Annotated[str, msgspec.Meta(max_length=MAX_TEXT_CHARACTERS)] = ""
    time_zone: Name = "UTC"


encode_notice = msgspec.json.Encoder().encode
decode_notice: Form[Notice] = Form(Notice)
"""The form of a record on notices. It does not look into `fields`: see `typed_fields`."""


class NoticeError(Exception):
    """A notice does not fit its template. The message names template and field, and says what the field must be."""


_TYPES: Final[dict[Kind, Any]] = {
    "text": Text,
    "message": Text,
    "texts": Annotated[list[Text], msgspec.Meta(min_length=1, max_length=50)],
    "micros": Micros,
    "instant": Instant,
    "month": Month,
    "count": Count,
    "percent": Percent,
    "bots": Annotated[list[BotLine], msgspec.Meta(min_length=1, max_length=MAX_BOTS)],
    "bot_usage": Annotated[list[BotUsageLine], msgspec.Meta(min_length=1, max_length=MAX_BOTS)],
}

FieldValue = str | int | datetime | list[str] | list[BotLine] | list[BotUsageLine]


def template_of(notice: Notice) -> Template:
    """Return the template of a notice. Raises NoticeError if there is none of that name."""
    found = TEMPLATES.get(notice.template)
    if found is None:
        raise NoticeError(f"{notice.template}: there is no such template")
    return found


def typed_fields(notice: Notice) -> dict[str, FieldValue]:
    """Return the fields of a notice with the types of its template: times as datetime, lists of bots as structs.

    Raises NoticeError if a field is missing, too many or of another type, if a field is there that another field rules
    out, or if `bot_id` is set where the template is about a workspace, or not set where it is about a bot.
    """
    template = template_of(notice)
    _check_bot(notice, template)
    fields, given = template.fields_for(notice.bot_id), notice.fields
    values: dict[str, FieldValue] = {}
    for field in fields:
        if not field.applies(given):
            if field.name in given:
                _refuse(template, field.name, f"must not be there unless {field.condition()}")
            continue
        if field.name not in given:
            _refuse(template, field.name, "required field is missing")
        values[field.name] = _convert(template, field, given[field.name])
    unknown = sorted(given.keys() - {field.name for field in fields})
    if unknown:
        _refuse(template, unknown[0], f"is no field of this template, which has {_listed(fields)}")
    return values


def _check_bot(notice: Notice, template: Template) -> None:
    if template.about == "bot" and notice.bot_id is None:
        raise NoticeError(f"{template.name}: bot_id: required, because the notice is about one bot")
    if template.about in ("workspace", "person") and notice.bot_id is not None:
        raise NoticeError(f"{template.name}: bot_id: must not be there, because the notice is about no single bot")


def _convert(template: Template, field: Field, value: Any) -> FieldValue:
    if field.choices:
        if value not in field.choices:
            _refuse(template, field.name, f"must be one of {', '.join(field.choices)}")
        return str(value)
    try:
        converted: FieldValue = msgspec.convert(value, _TYPES[field.kind])
    except msgspec.ValidationError as error:
        _refuse(template, field.name, str(error))
    return converted


def _refuse(template: Template, field: str, why: str) -> NoReturn:
    raise NoticeError(f"{template.name}: fields.{field}: {why}")


def _listed(fields: tuple[Field, ...]) -> str:
    return ", ".join(field.name for field in fields) or "none"
