"""The whole book of a round held against the oracle, row by row: how many differ, and which."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from meter.operations.accept_loss import LOST
from schemas.moves import MOVED_FROM
from schemas.topics import ACCOUNT_COMMANDS, CHAT_EVENTS, WALLET_INPUTS
from tests.chaos.feeding import Poison
from tests.chaos.logs import Record
from tests.integration import differences
from tests.integration.differences import CONVERSATION, named_field, unequal
from tests.integration.entitled import entitled
from tests.integration.views import Ask, Outcome, Row, outcome_from
from tests.oracle.oracle import Result

_OWN: Final = (b'"type":"meter.tick"', b'"type":"meter.policy"')
"""What the product itself writes to chat-events."""
_PLACE: Final = ("source_topic", "source_partition", "source_offset")
_METERED: Final = (b'{"kind":', b'{"type":"meter.')

_CHAINS: Final = """
SELECT workspace_id, bot_id, channel, channel_user_id, toUnixTimestamp64Milli(first_at) AS first_ms,
       toUnixTimestamp64Milli(last_at) AS last_ms, messages, requests, sessions, billable, state
FROM conversation_facts FINAL WHERE state != 'absorbed' AND absorbed_into = ''
"""
_DAYS: Final = """
SELECT workspace_id, bot_id, day, proactive_notifications, alert_notifications, agent_messages, developer_messages
FROM usage_daily_facts FINAL
WHERE proactive_notifications + alert_notifications + agent_messages + developer_messages != 0
"""


@dataclass
class Book:
    """All that a round came to: the views, and the facts that no view shows."""

    outcome: Outcome
    chains: list[Row]
    """Every conversation that stands, billable or not."""
    occurrences: list[Row]
    """What each bot's day saw that is of no conversation."""


def book_from(ask: Ask) -> Book:
    """The book, as ClickHouse tells it."""
    return Book(outcome_from(ask), ask(_CHAINS), ask(_DAYS))


@dataclass
class Given:
    """What a round wrote, and where it came to lie."""

    lines: list[bytes]
    poison: list[Poison]
    logs: list[Record]
    """Every record of the topics that strangers write to, each where it was read."""
    lost: list[tuple[str, int, int]] = field(default_factory=list)
    """Topic, partition and offset of each dead letter of a loss that was accepted."""
    entitlements: list[bytes | None] | None = None
    """Every record of what a bot may do; None where they are not looked at."""


def judge(book: Book, given: Given, expected: Result) -> list[str]:
    """A sentence for every row that differs."""
    without_moves = _without_repeated_moves(book.outcome, given.logs)
    lost = [row for row in without_moves.dead_letters if row["code"] == LOST]
    letters = [row for row in without_moves.dead_letters if row["code"] != LOST]
    outcome = replace(without_moves, dead_letters=letters)
    book = replace(book, outcome=outcome)
    return [
        *_written(given),
        *unequal("dead letter of a loss", (tuple(row[column] for column in _PLACE) for row in lost), given.lost),
        *differences.metered(outcome, expected),
        *_chains(book, expected),
        *_occurrences(book, expected),
        *differences.units(outcome, expected),
        *differences.charged(outcome, expected, by_lot=False),
        *differences.money_conserved(outcome),
        *differences.ledger_sound(outcome),
        *_dead_letters(outcome, given, expected),
        *_accounted(book, given, expected),
        *([] if given.entitlements is None else entitled(given.entitlements, outcome.ledger, expected, DEBIT_ORDERS)),
    ]


def _written(given: Given) -> list[str]:
    """Every line and every poison lies in Kafka once: else nothing else that is said here would mean much."""
    found = Counter(_name(record.value) for record in _strange(given.logs))
    wanted = Counter(_name(value) for value in [*given.lines, *(each.value for each in given.poison)])
    return unequal("record in Kafka", found.elements(), wanted.elements())


def _strange(logs: Iterable[Record]) -> Iterable[Record]:
    """Those that the product did not write itself."""
    for record in logs:
        if not is_own(record) and _moved_from(record) is None:
            yield record


def is_own(record: Record) -> bool:
    """Whether the product wrote it, and it is not moved."""
    return _is_tick(record.value) if record.topic == CHAT_EVENTS.name else _is_metered(record.value)


def _moved_from(record: Record) -> bytes | None:
    return dict(record.headers).get(MOVED_FROM)


def _without_repeated_moves(outcome: Outcome, logs: Iterable[Record]) -> Outcome:
    """The outcome without the dead letters of records that a crash or a zombie moved a second time.

    The first one counts. The second may come so much later that it is late.
    """
    first: set[bytes] = set()
    repeated: set[tuple[str, int, int]] = set()
    for record in sorted(logs, key=lambda each: (each.topic, each.partition, each.offset)):
        origin = _moved_from(record)
        if origin in first:
            repeated.add((record.topic, record.partition, record.offset))
        elif origin is not None:
            first.add(origin)
    letters = [row for row in outcome.dead_letters if tuple(row[column] for column in _PLACE) not in repeated]
    return replace(outcome, dead_letters=letters)


def _is_tick(value: bytes | None) -> bool:
    return value is not None and any(own in value[:50] for own in _OWN)


def _is_metered(value: bytes | None) -> bool:
    return value is not None and value.startswith(_METERED)


def _name(value: bytes | None) -> object:
    """A value, or what tells a very large one from others."""
    return value if value is None or len(value) < 10_000 else (len(value), value[:200], hash(value))


def _chains(book: Book, expected: Result) -> list[str]:
    """Bots' monologues as well, and after the final tick all are closed."""
    found = ((*(row[column] for column in CONVERSATION), bool(row["billable"]), row["state"]) for row in book.chains)
    wanted = (
        (*c.key, c.first, c.last, c.messages, c.requests, c.sessions, c.billable, "closed") for c in expected.chains
    )
    return unequal("conversation in the facts", found, wanted)


def _occurrences(book: Book, expected: Result) -> list[str]:
    """Notifications and the messages of agents and developers, on the days without a unit too."""
    wanted = (
        (*key, day.proactive, day.alert, day.agent, day.developer)
        for key, day in expected.daily.items()
        if day.proactive + day.alert + day.agent + day.developer
    )
    return unequal("occurrences of a day", (tuple(row.values()) for row in book.occurrences), wanted)


def _dead_letters(outcome: Outcome, given: Given, expected: Result) -> list[str]:
    """Each refused record whole, with its key and place, and no other; of a line the field that its reason names, of
    poison its code.
    """
    fields = {_name(given.lines[letter.line]): letter.field or "value" for letter in expected.dead_letters}
    codes = {_name(each.value): each.code for each in given.poison}
    fields |= codes
    wanted = (
        (record.topic, record.partition, record.offset, record.key and record.key.decode(), name, fields[name])
        for record, name in ((record, _name(record.value)) for record in given.logs)
        if name in fields
    )
    found = (
        (
            *(row[column] for column in _PLACE),
            row["key"],
            name,
            row["code"] if name in codes else named_field(row["reason"]),
        )
        for row, name in ((row, _name(row["payload"])) for row in outcome.dead_letters)
    )
    return unequal("dead letter", found, wanted)


def _accounted(book: Book, given: Given, expected: Result) -> list[str]:
    """Of every record on chat-events it is known what became of it; repeats are counted by the oracle alone."""
    events = sum(1 for record in _strange(given.logs) if record.topic == CHAT_EVENTS.name)
    repeats = [*expected.duplicates, *expected.conflicts]
    became = {
        "messages": sum(row["messages"] for row in book.chains),
        "occurrences": sum(sum(value for value in row.values() if type(value) is int) for row in book.occurrences),
        "dead letters": sum(row["source_topic"] == CHAT_EVENTS.name for row in book.outcome.dead_letters),
        "repeats": sum(b'"type":"chat.' in given.lines[number] for number in repeats),
    }
    missing = events - sum(became.values())
    return [f"events: {missing} of {events} are unaccounted for, the others are {became}"] * bool(missing)


DEBIT_ORDERS: Final = ("free_first", "paid_first")
"""Those that a policy of a round may put in force."""

TOPICS_READ: Final = (CHAT_EVENTS.name, WALLET_INPUTS.name, ACCOUNT_COMMANDS.name)
"""Those that `Given.logs` is read from."""
