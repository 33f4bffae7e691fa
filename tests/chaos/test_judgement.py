"""The comparison can fail: whatever is changed in a book that is right, it is noticed and counted."""

from collections.abc import Callable

import pytest

from tests.chaos.books import right_book
from tests.chaos.judgement import Book, Given, judge
from tests.integration.views import Row
from tests.oracle.oracle import Result

Right = tuple[Book, Given, Result]


@pytest.fixture
def right() -> Right:
    return right_book(seed=3, events=400)


def test_a_right_book_differs_in_nothing(right: Right) -> None:
    """And it holds something of everything that the changes below touch."""
    book, given, expected = right
    assert judge(book, given, expected) == []
    outcome = book.outcome
    assert all((outcome.conversations, outcome.ledger, outcome.daily, outcome.monthly, outcome.balances))
    assert len(outcome.dead_letters) > len(given.poison) > 2
    assert any(not row["billable"] for row in book.chains)
    assert book.occurrences


def change_row(rows: str, column: str, by: object) -> Callable[[Book], None]:
    """Change a column of one row of a view."""

    def change(book: Book) -> None:
        row = getattr(book.outcome, rows)[0]
        row[column] = row[column] + by if isinstance(by, int) else by

    return change


def remove_row(rows: str) -> Callable[[Book], None]:
    return lambda book: getattr(book.outcome, rows).pop()


def repeat_row(rows: str) -> Callable[[Book], None]:
    return lambda book: getattr(book.outcome, rows).append(dict(getattr(book.outcome, rows)[0]))


def one_unit_more(book: Book) -> None:
    """As a second charge of the same conversation would come: a sound entry, with a number and an id of its own."""
    last = [entry for entry in book.outcome.ledger if entry["kind"] == "charge"][-1]
    seqs = [entry["seq"] for entry in book.outcome.ledger if entry["workspace_id"] == last["workspace_id"]]
    book.outcome.ledger.append(last | {"seq": max(seqs) + 1, "entry_id": "more", "unit_id": "more"})


def unit_paid_by_another(book: Book) -> None:
    """The sums stay, and the wrong conversation pays."""
    charges = [entry for entry in book.outcome.ledger if entry["kind"] == "charge"]
    first = charges[0]
    other = next(
        each
        for each in charges
        if each["workspace_id"] == first["workspace_id"] and each["conversation_id"] != first["conversation_id"]
    )
    first["conversation_id"] = other["conversation_id"]


def reversal_of_nothing(book: Book) -> None:
    entry = next(entry for entry in book.outcome.ledger if entry["kind"] == "charge")
    entry |= {"kind": "reversal", "reverses": "unheard of"}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (remove_row("conversations"), "conversation: missing"),
        (repeat_row("conversations"), "conversation: unexpected"),
        (change_row("conversations", "last_ms", 1), "conversation: "),
        (change_row("conversations", "charged_paid_micros", 1), "charges told by conversations"),
        (remove_row("daily"), "day: missing"),
        (change_row("daily", "requests", -1), "day: "),
        (change_row("monthly", "charged_free_micros", 1), "month: "),
        (repeat_row("monthly"), "month: unexpected"),
        (change_row("balances", "paid_micros", -1), "balance"),
        (remove_row("balances"), "balance"),
        (remove_row("ledger"), "unit: missing"),
        (change_row("ledger", "amount_micros", 1), "sum of the ledger"),
        (change_row("ledger", "seq", 1_000), "number of an entry"),
        (repeat_row("ledger"), "id of an entry"),
        (one_unit_more, "unit: unexpected"),
        (unit_paid_by_another, "unit: "),
        (reversal_of_nothing, "undoes what it cannot"),
        (remove_row("dead_letters"), "dead letter: missing"),
        (repeat_row("dead_letters"), "dead letter: unexpected"),
        (change_row("dead_letters", "source_offset", 1), "dead letter: "),
        (change_row("dead_letters", "source_topic", "ledger"), "dead letter: "),
        (change_row("dead_letters", "payload", b"cut"), "dead letter: "),
        (change_row("dead_letters", "reason", "nowhere: is wrong"), "dead letter: "),
        (lambda book: book.chains.pop(), "conversation in the facts: missing"),
        (lambda book: book.chains.pop(), "unaccounted"),
        (lambda book: book.chains[0].update(state="open"), "conversation in the facts"),
        (lambda book: book.occurrences.pop(), "occurrences of a day: missing"),
        (lambda book: book.occurrences.pop(), "unaccounted"),
    ],
)
def test_whatever_is_changed_is_noticed(right: Right, change: Callable[[Book], None], word: str) -> None:
    """A row too few or too many, an amount, a place, a number: each shows, by its name."""
    book, given, expected = right
    change(book)
    assert any(word in each for each in judge(book, given, expected))


@pytest.mark.parametrize("times", [0, 2])
def test_a_record_that_kafka_has_not_once_is_noticed(right: Right, times: int) -> None:
    """What was not written, or twice, would make every other comparison one of something else."""
    book, given, expected = right
    last = given.logs.pop()
    given.logs += [last] * times
    assert any("record in Kafka" in each for each in judge(book, given, expected))


def loss(book: Book, given: Given) -> Row:
    """Add an accepted loss to what is given. Returns the row that ClickHouse must have for it."""
    given.lost.append(("chat-events", 2, 17))
    row = book.outcome.dead_letters[0]
    place = {"source_topic": "chat-events", "source_partition": 2, "source_offset": 17}
    return row | place | {"key": None, "payload": b"", "code": "lost", "reason": "the topic was created again"}


def test_a_loss_that_was_accepted_is_expected(right: Right) -> None:
    """Once, and nothing else is missing for it: all of the topic was read before."""
    book, given, expected = right
    row = loss(book, given)
    book.outcome.dead_letters.append(row)
    assert judge(book, given, expected) == []
    book.outcome.dead_letters.append(row)
    assert len(judge(book, given, expected)) == 1


@pytest.mark.parametrize("change", [{"code": "late"}, {"source_offset": 18}, {"source_partition": 1}])
def test_another_loss_than_the_one_expected_is_noticed(right: Right, change: Row) -> None:
    """Or a letter at its location that does not tell of a loss."""
    book, given, expected = right
    book.outcome.dead_letters.append(loss(book, given) | change)
    assert any("dead letter of a loss: missing" in each for each in judge(book, given, expected))


def test_every_row_counts(right: Right) -> None:
    """The difference is a number of rows and not of kinds of trouble."""
    book, given, expected = right
    book.outcome.dead_letters.clear()
    found = [each for each in judge(book, given, expected) if each.startswith("dead letter")]
    assert len(found) == len(expected.dead_letters) + len(given.poison)
