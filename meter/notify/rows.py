"""The values of a notice as a table: a label, and one or more lines."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from meter.notify import wording
from meter.notify.shown import MESSAGE_CHARACTERS, shortened, shown
from schemas.notice_fields import Field
from schemas.notices import BotLine, BotUsageLine, FieldValue

SHOWN_BOTS: Final = 20
"""How many bots a mail lists."""

_LINES: Final = 12
"""How many lines of a person's message a mail shows."""

_PERIODS: Final = {"month": "charged monthly", "year": "charged annually"}


class Row(NamedTuple):
    """One row. Texts from outside are cleaned. A value that is long stands below its label."""

    label: str
    lines: list[str]
    is_long: bool = False


def rows(fields: Sequence[Field], values: Mapping[str, FieldValue], zone: str) -> list[Row]:
    """Return a row for each field that has a label and is there, in the order of `fields`.

    A bot's name alone makes no table: the sentences have it.
    """
    found = []
    for field in fields:
        if field.label and field.name in values:
            lines = _lines(field, values[field.name], zone)
            if field.name == "plan_price_micros" and "period" in values:
                lines = [f"{lines[0]}, {_PERIODS[str(values['period'])]}"]
            found.append(Row(field.label, lines, is_long=field.kind in ("message", "texts")))
    return found if len(found) > 1 or "bot_name" not in values else []


def bot_rows(values: Mapping[str, FieldValue]) -> list[Row]:
    """Return a row for each of the first bots that a notice lists; none if it lists no bots."""
    listed = values.get("bots")
    return [_bot_row(each) for each in listed[:SHOWN_BOTS]] if isinstance(listed, list) else []


def more_bots(values: Mapping[str, FieldValue]) -> str:
    """How many bots are not shown, in words; empty if all are."""
    counted = values.get("bot_count", 0)
    listed = values.get("bots", [])
    assert isinstance(counted, int)
    assert isinstance(listed, list)
    left_out = max(counted, len(listed)) - min(len(listed), SHOWN_BOTS)
    return f"and {wording.count(left_out)} more" if left_out else ""


def _bot_row(bot: object) -> Row:
    assert isinstance(bot, BotLine | BotUsageLine)
    used = [f"{wording.money(bot.free_used_micros)} of free credit"] if isinstance(bot, BotUsageLine) else []
    return Row(shown(bot.bot_name), [*used, bot.status])


def _lines(field: Field, value: FieldValue, zone: str) -> list[str]:
    if isinstance(value, datetime):
        return [wording.moment(value, zone)]
    if isinstance(value, int):
        return [f"{value}%" if field.kind == "percent" else wording.money(value)]
    if isinstance(value, str):
        if field.kind == "month":
            return [wording.month(value)]
        if field.kind == "message":
            return _message_lines(value)
        return [shown(value)]
    return [shown(each) for each in value if isinstance(each, str)]


def _message_lines(text: str) -> list[str]:
    """A message with its line breaks, of which a mail shows the first lines."""
    lines = [each for each in shortened(text, MESSAGE_CHARACTERS).splitlines() if each.strip()]
    return [shown(each, MESSAGE_CHARACTERS) for each in lines[:_LINES]] or [shown("")]
