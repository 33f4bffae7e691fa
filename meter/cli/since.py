"""A point in the past on the command line: `90m`, `24h`, `7d`, or a time."""

import re
import time
from datetime import UTC, datetime
from typing import Final

import click

from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, to_ms

_UNITS_MS: Final = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}


class Since(click.ParamType):
    """The type of an option: milliseconds since 1970."""

    name = "SINCE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the time that the text names."""
        text = str(value)
        if found := re.fullmatch(r"([0-9]{1,6})([mhd])", text):
            return int(time.time() * 1000) - int(found[1]) * _UNITS_MS[found[2]]
        try:
            instant = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r} is no time: give 90m, 24h, 7d, 2026-11-20 or 2026-11-20T10:00:00Z", param, ctx)
        return to_ms(instant if instant.tzinfo else instant.replace(tzinfo=UTC))
