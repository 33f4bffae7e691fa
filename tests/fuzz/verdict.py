"""What is wrong with an outcome: of one record, and of all that was metered."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from aiokafka import ConsumerRecord

from schemas.dead_letters import DeadLetter
from tests.oracle.oracle import Result, Usage
from tests.oracle.reading import MAX_DEPTH, MAX_LINE_BYTES, Parsed, depth
from tests.properties.view import View

CODES: Final = {
    *("null_value", "too_large", "invalid_utf8", "not_json", "missing_field", "invalid_field", "unknown_type"),
    *("not_an_event", "future", "too_old", "late", "invalid", "conflict"),
}
FIELD_CODES: Final = CODES - {"null_value", "too_large", "invalid_utf8", "not_json"}
REASON: Final = re.compile(r"(value|specversion|type|id|source|time|data(\.\w+)?|[a-z_]+): .+", re.DOTALL)


def wrong(record: ConsumerRecord, found: list[DeadLetter], is_refused: bool) -> Iterator[str]:
    """What is wrong with the dead letters of a record: exactly one where it is refused, whole, and none elsewhere."""
    if len(found) != is_refused:
        told = f", such as {found[0].code}: {found[0].reason}" if found else ""
        yield f"{len(found)} dead letters{told}; the oracle says {int(is_refused)}"
    for letter in found:
        if (letter.key, letter.value) != (record.key, record.value):
            yield f"the letter is not the record: {letter.key!r}, {letter.value!r:.2000}"
        if letter.source_partition != record.partition:
            yield f"the letter names partition {letter.source_partition}"
        if letter.code not in CODES:
            yield f"the code {letter.code!r} is not documented"
        if letter.code not in (codes := possible_codes(record.value)):
            yield f"the code is {letter.code} and should be {' or '.join(sorted(codes))}"
        if not REASON.fullmatch(letter.reason):
            yield f"the reason names nothing: {letter.reason!r}"


def possible_codes(value: bytes | None) -> set[str]:
    """The codes that DOMAIN, Metering 6 leaves: the first test that fails is the reason."""
    if value is None:
        return {"null_value"}
    if len(value) > MAX_LINE_BYTES:
        return {"too_large"}
    try:
        found = json.loads(value.decode(), parse_constant=_no_json, parse_int=str, object_pairs_hook=Parsed)
    except UnicodeDecodeError:
        return {"invalid_utf8"}
    except (ValueError, RecursionError):
        return {"not_json"}
    return {"not_json"} if depth(found) > MAX_DEPTH else FIELD_CODES


def _no_json(word: str) -> None:
    raise ValueError(word)


def otherwise_metered(seen: View, result: Result) -> Iterator[str]:
    """Where the view is not what the oracle says. Which lot paid follows the order of arrival; how much does not."""
    chains: Counter[tuple[object, ...]] = Counter(
        (each.key, each.first, each.last, each.messages, each.requests, each.sessions) for each in result.conversations
    )
    if (told := seen.chains(billable=True)) != chains:
        yield f"conversations differ: {dict(told - chains)} for {dict(chains - told)}"
    found, expected = ({key: _total(row) for key, row in rows.items()} for rows in (seen.daily(), result.daily))
    if found != {key: row for key, row in expected.items() if row != _total(Usage())}:
        yield f"days differ: {found.items() - expected.items()} for {expected.items() - found.items()}"
    left = {name: each.free_micros + each.paid_micros for name, each in seen.balances.items()}
    due = {name: each.free + each.paid for name, each in result.balances.items()}
    for name in left.keys() | due.keys():
        if left.get(name) != due.get(name):
            yield f"the balance of {name!r} is {left.get(name)}, and not {due.get(name)}"


def _total(row: Usage) -> tuple[int, ...]:
    """A day's usage, with what it cost in all."""
    counts = (row.conversations, row.sessions, row.requests, row.proactive, row.alert, row.agent, row.developer)
    return (*counts, row.total_units, row.charged_free + row.charged_paid)
