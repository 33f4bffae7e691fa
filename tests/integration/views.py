"""What analysts see: the fixed views, each as its rows."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.integration.processes import answer

Row = dict[str, Any]
Ask = Callable[[str], list[Row]]
"""A query, and its rows."""

_VIEWS = {
    "conversations": "*, toUnixTimestamp64Milli(first_at) AS first_ms, toUnixTimestamp64Milli(last_at) AS last_ms",
    "ledger": "*",
    "usage_daily": "*",
    "usage_monthly": "*",
    "balances": "*",
    "dead_letters": "* EXCEPT payload, base64Encode(payload) AS payload_base64",
}


@dataclass
class Outcome:
    """The fixed views, each as its rows."""

    conversations: list[Row]
    ledger: list[Row]
    daily: list[Row]
    monthly: list[Row]
    balances: list[Row]
    dead_letters: list[Row]


def outcome_of(data: Path) -> Outcome:
    """What a data directory holds that no process uses any more."""
    return outcome_from(partial(answer, data))


def outcome_from(ask: Ask) -> Outcome:
    """Ask for everything, at once."""
    query = " UNION ALL ".join(
        f"SELECT '{view}' AS view, formatRow('JSONEachRow', {columns}) AS row FROM {view}"
        for view, columns in _VIEWS.items()
    )
    rows: dict[str, list[Row]] = {view: [] for view in _VIEWS}
    for told in ask(query):
        rows[told["view"]].append(json.loads(told["row"]))
    return Outcome(
        conversations=rows["conversations"],
        ledger=sorted(rows["ledger"], key=lambda entry: (entry["workspace_id"], entry["seq"])),
        daily=rows["usage_daily"],
        monthly=rows["usage_monthly"],
        balances=rows["balances"],
        dead_letters=[_with_payload(row) for row in rows["dead_letters"]],
    )


def _with_payload(row: Row) -> Row:
    """JSON cannot hold bytes that are no text."""
    encoded = row.pop("payload_base64")
    return row | {"payload": None if encoded is None else base64.b64decode(encoded)}
