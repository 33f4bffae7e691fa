"""A book that is right, made of the oracle's own result: what the comparison must not object to."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import count
from random import Random

from schemas.topics import CHAT_EVENTS, WALLET_INPUTS
from tests.chaos.feeding import poison
from tests.chaos.judgement import Book, Given
from tests.feeds.disorder import disordered
from tests.feeds.generator import generate
from tests.feeds.lines import is_command
from tests.integration.differences import CONVERSATION, USAGE
from tests.integration.outcome import oracle
from tests.integration.views import Outcome, Row
from tests.oracle.oracle import Result, Usage

_KEY = b"key"


@dataclass(frozen=True)
class Lying:
    """A record as it lies in Kafka."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def right_book(seed: int, events: int) -> tuple[Book, Given, Result]:
    """A round's book, what was written for it, and what the oracle says."""
    lines = disordered(generate(seed, events), seed)
    given = Given(lines, [each for number in range(8) for each in poison(Random(number))], [])
    offsets = count()
    for line in lines:
        topic = WALLET_INPUTS.name if is_command(line) else CHAT_EVENTS.name
        given.logs.append(Lying(topic, 0, next(offsets), _KEY, line))
    given.logs += [Lying(each.topic, 1, next(offsets), each.key, each.value) for each in given.poison]
    expected = oracle(lines)
    return _book(expected, given), given, expected


def _book(expected: Result, given: Given) -> Book:
    paid: Counter[tuple[object, ...]] = Counter()
    for charge in expected.charges:
        paid[charge.conversation] += charge.amount
    chains: list[Row] = []
    for chain in expected.chains:
        values = (*chain.key, chain.first, chain.last, chain.messages, chain.requests, chain.sessions)
        row: Row = dict(zip(CONVERSATION, values, strict=True))
        row |= {"billable": chain.billable, "state": "closed", "conversation_id": _name(*chain.key, chain.first)}
        chains.append(row | {"charged_free_micros": 0, "charged_paid_micros": paid[*chain.key, chain.first]})
    outcome = Outcome(
        conversations=[dict(row) for row in chains if row["billable"]],
        ledger=_ledger(expected),
        daily=[_usage(key, "day", row) for key, row in expected.daily.items() if row.total_units],
        monthly=[_usage(key, "month", row) for key, row in expected.monthly().items()],
        balances=[
            {"workspace_id": name, "free_micros": each.free, "paid_micros": each.paid, "lapsed_micros": each.lapsed}
            for name, each in expected.balances.items()
        ],
        dead_letters=_dead_letters(expected, given),
    )
    return Book(outcome, chains, _occurrences(expected))


def _ledger(expected: Result) -> list[Row]:
    """In each workspace one entry that brings all credit there ever was, then the charges."""
    seq: defaultdict[str, int] = defaultdict(int)
    entries: list[Row] = []

    def enter(workspace: str, kind: str, amount: int, conversation: str = "", unit: str = "") -> None:
        seq[workspace] += 1
        number = seq[workspace]
        entry = {"workspace_id": workspace, "seq": number, "entry_id": f"{workspace} {number}", "kind": kind}
        entry |= {"conversation_id": conversation, "unit_id": unit, "lot_id": "lot", "lot_kind": "free"}
        entries.append(entry | {"amount_micros": amount, "reverses": ""})

    for workspace, balance in expected.balances.items():
        spent = balance.charged_free + balance.charged_paid
        enter(workspace, "grant", balance.free + balance.paid + spent)
    for charge in expected.charges:
        conversation = _name(*charge.conversation)
        enter(charge.workspace, "charge", -charge.amount, conversation, f"{conversation} {charge.at}")
    return entries


def _usage(key: tuple[str, str, str], period: str, row: Usage) -> Row:
    names: Row = dict(zip(("workspace_id", "bot_id", period), key, strict=True))
    counts = {shown: getattr(row, column) for column, shown in USAGE.items()}
    return names | counts | {"charged_free_micros": row.charged_free, "charged_paid_micros": row.charged_paid}


def _occurrences(expected: Result) -> list[Row]:
    columns = ("proactive", "alert", "agent", "developer")
    rows = (
        dict(zip(("workspace_id", "bot_id", "day"), key, strict=True)) | {name: getattr(row, name) for name in columns}
        for key, row in expected.daily.items()
    )
    return [row for row in rows if any(row[name] for name in columns)]


def _dead_letters(expected: Result, given: Given) -> list[Row]:
    told: dict[bytes | None, tuple[str, str]] = {each.value: (each.code, "value") for each in given.poison}
    for letter in expected.dead_letters:
        told[given.lines[letter.line]] = ("any", letter.field or "value")
    return [
        {
            "source_topic": record.topic,
            "source_partition": record.partition,
            "source_offset": record.offset,
            "key": record.key and record.key.decode(),
            "payload": record.value,
            "code": told[record.value][0],
            "reason": f"data.{told[record.value][1]}: is wrong",
        }
        for record in given.logs
        if record.value in told
    ]


def _name(*parts: object) -> str:
    return "/".join(map(str, parts))
