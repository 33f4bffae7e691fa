"""What is put back of a letter that could not hold its record, and what a header of another client proves."""

from typing import Any

import pytest
from msgspec.structs import replace

from meter.core.rejection import Rejected
from meter.dead_letters import render
from meter.dead_letters.inventory import Letters, _letter, fold, proven
from meter.dead_letters.originals import _completed
from meter.dead_letters.replay import NotPutBackError, own_headers
from meter.dead_letters.whole import headers_to_put_back, value_to_put_back
from meter.kafka.records import Record
from meter.stage.dead_letter import dead_letter
from meter.stage.moves import moved
from schemas import shortened_letters
from schemas.dead_letters import DeadLetter, from_record
from schemas.moves import MOVED_FROM, Move
from schemas.replays import Claim, Receipt, marks_of, without_marks
from schemas.shortened_letters import fitted
from schemas.topics import CHAT_EVENTS, DEAD_LETTERS, MAX_RECORD_BYTES, REPLAYS
from tests.properties.memory_log import stored

REFUSED = Rejected("not_json", "value: why")
HEADERS = [("traceparent", b"1"), ("traceparent", None)]


def refused(value: bytes, headers: Any = HEADERS, offset: int = 7) -> Any:
    return stored(CHAT_EVENTS.name, 0, offset, Record(b"w", value, headers))


@pytest.mark.parametrize(
    ("lies", "is_whole"),
    [(refused(b"x" * 9_000), True), (refused(b"y" * 9_000), False), (refused(b"x" * 9_000, []), False), (None, False)],
)
async def test_a_shortened_letter_is_completed_where_its_record_still_lies(
    monkeypatch: pytest.MonkeyPatch, lies: Any, is_whole: bool
) -> None:
    """Only the very record: another one may lie there, since the topic was created again, or none."""

    async def one(*_: object) -> Any:
        return lies

    monkeypatch.setattr(shortened_letters, "MAX_RECORD_BYTES", 8_000)
    monkeypatch.setattr(shortened_letters, "PART_BYTES", 100)
    monkeypatch.setattr("meter.kafka.reader.one", one)
    letter = dead_letter(CHAT_EVENTS, 0, refused(b"x" * 9_000), REFUSED)
    assert letter.is_shortened
    found = await _completed("nowhere:1", letter)
    assert found.is_shortened is not is_whole
    assert (found.value, list(found.source_headers)) == (b"x" * (9_000 if is_whole else 100), HEADERS)
    if not is_whole:
        assert render.lost(found) == (
            "chat-events/0/7 was too large for its dead letter, which has only the beginning of its value, "
            "and the record does not lie there any more"
        )


def letters_of(*records: Any, replays: list[Claim | Receipt]) -> Letters:
    """The letters of refused records, and what the topic replays says."""
    written = [dead_letter(CHAT_EVENTS, 0, each, REFUSED) for each in records]
    found = [
        _letter(stored(DEAD_LETTERS.name, 0, at, Record(each.key, each.value, each.headers())))
        for at, each in enumerate(written)
    ]
    log = [Record(b"k", getattr(each, "value", None), each.headers()) for each in replays]
    return proven(
        {each.letter_id: each for each in found},
        fold([stored(REPLAYS.name, 0, at, record) for at, record in enumerate(log)]),
    )


CLAIM = Claim("chat-events/0/1", "n", b"{")
RECEIPT = Receipt("chat-events/0/1", "n", "chat-events/0/8")


@pytest.mark.parametrize(
    ("value", "headers", "named"),
    [
        (b"{", CLAIM.marks(), CLAIM.letter_id),
        (b"{", [*HEADERS, *CLAIM.marks()], CLAIM.letter_id),
        (b"{{", CLAIM.marks(), ""),
        (b"{", CLAIM._replace(nonce="m").marks(), ""),
        (b"{", CLAIM._replace(letter_id="chat-events/0/2").marks(), ""),
        (b"{", CLAIM.marks()[:1], ""),
        (b"{", [(name, None) for name, _ in CLAIM.marks()], ""),
        (b"{", [(name, b"\xff" * 5_000) for name, _ in CLAIM.marks()], ""),
    ],
)
def test_only_what_was_claimed_is_a_replay(value: bytes, headers: Any, named: str) -> None:
    """A header is easily written: the word of the claim and the very bytes have to agree with the topic replays."""
    found = letters_of(refused(value, headers, 9), replays=[CLAIM, RECEIPT])
    letter = found.get("chat-events/0/9")
    assert letter.replay_of == named
    assert found.is_copy(letter) is bool(named)
    kept = [each for each in headers if each not in CLAIM.marks()] if named else headers
    assert list(own_headers(letter, headers)) == kept


def test_a_moved_record_is_put_back_as_it_was_before_its_move() -> None:
    """Its letter has the headers of the move once, among the record's own, and a replay leaves them out."""
    move = Move(CHAT_EVENTS.name, 1, 8, 5)
    record = refused(b"{", move.headers([*HEADERS, *CLAIM.marks()], 5_000), 9)
    written = dead_letter(CHAT_EVENTS, 0, record, REFUSED)
    assert [name for name, _ in written.headers()].count(MOVED_FROM) == 1
    claimed_at = RECEIPT._replace(location=move.location)
    found = letters_of(record, replays=[CLAIM, claimed_at])
    letter = found.get("chat-events/0/9")
    assert (letter.moved_from, letter.replay_of) == (move.location, CLAIM.letter_id)
    assert not found.is_copy(letter)
    assert list(own_headers(letter, written.source_headers)) == HEADERS


def test_only_the_letter_of_a_replay_says_where_it_was_moved_from() -> None:
    """Else a client could have a replay that counts shown as refused again."""
    found = letters_of(refused(b"x", Move(CHAT_EVENTS.name, 0, 8, 5).headers([], 500), 9), replays=[CLAIM, RECEIPT])
    assert found.moved == {}


def test_a_claim_that_names_no_letter_claims_nothing() -> None:
    """Else every letter that is no replay would look like a copy of it."""
    found = letters_of(refused(b"{"), replays=[CLAIM._replace(letter_id=""), RECEIPT._replace(letter_id="")])
    assert found.replays == {}
    assert not found.is_copy(found.get("chat-events/0/7"))


def test_marks_stand_behind_the_headers_of_the_record() -> None:
    """Of several pairs the last counts, and only that one is taken away."""
    other = CLAIM._replace(nonce="other")
    headers = [*other.marks(), *HEADERS, *CLAIM.marks()]
    assert marks_of(headers) == ("chat-events/0/1", "n")
    assert without_marks(headers) == [*other.marks(), *HEADERS]


MOVED_WITHOUT = Move(CHAT_EVENTS.name, 1, 1, 1).headers([("h", b"x")], 0)
TEMPLATE = dead_letter(CHAT_EVENTS, 0, refused(b"{}"), REFUSED)


def put_back(written: DeadLetter, mended: bytes | None = None, *, without: bool = False) -> tuple[Any, Any]:
    """Value and headers that are put back for a letter."""
    found = _letter(stored(DEAD_LETTERS.name, 0, 1, Record(written.key, written.value or b"", written.headers())))
    value = value_to_put_back(found, written, mended)
    return value, headers_to_put_back(found, written, value, without=without)


def test_a_record_with_large_headers_is_put_back_whole() -> None:
    """Whether it lay right or was moved: 300 KiB of headers are nothing special."""
    many = [(f"h-{number}", b"x" * 1024) for number in range(300)]
    for record in (refused(b"{}", many), moved(CHAT_EVENTS, 0, refused(b"{}", many), "w", 2)):
        lay = refused(b"{}", record.headers) if isinstance(record, Record) else record
        written = dead_letter(CHAT_EVENTS, 0, lay, REFUSED)
        assert from_record(written.key, written.value, written.headers()) == written
        value, headers = put_back(written)
        assert (value, [each for each in headers if each[0].startswith("h-")]) == (b"{}", many)


@pytest.mark.parametrize(
    ("written", "mended", "reason"),
    [
        (fitted(replace(TEMPLATE, source_headers=(("h", b"x" * MAX_RECORD_BYTES),))), None, "only the beginning of"),
        (fitted(replace(TEMPLATE, source_headers=(("h", b"x" * MAX_RECORD_BYTES),))), b"{}", "only the beginning of"),
        (
            dead_letter(CHAT_EVENTS, 0, refused(b"", MOVED_WITHOUT), REFUSED),
            None,
            "too large to be moved with 1 of its headers",
        ),
        (replace(TEMPLATE, source_headers=(("h", b"x" * (MAX_RECORD_BYTES - 4_000)),)), None, "and a topic takes 33,"),
    ],
)
def test_headers_that_are_not_whole_are_refused_with_a_way_on(
    written: DeadLetter, mended: bytes | None, reason: str
) -> None:
    """In one sentence, also with mended bytes; without headers the record can be put back."""
    with pytest.raises(NotPutBackError, match=f"{reason}.*: --without-headers puts it back without any headers$"):
        put_back(written, mended)
    assert put_back(written, mended, without=True)[1] == ()


def test_a_value_that_no_topic_takes_is_refused_with_a_way_on() -> None:
    """Before it is claimed: else every later replay would try it again."""
    written = replace(TEMPLATE, value=b" " * (MAX_RECORD_BYTES - 100))
    with pytest.raises(NotPutBackError, match=r"a topic takes 33,554,432: give smaller bytes with --file$"):
        put_back(written)
    assert put_back(written, b"{}")[0] == b"{}"
    cut = fitted(replace(TEMPLATE, value=b" " * MAX_RECORD_BYTES))
    with pytest.raises(NotPutBackError, match=r"only the beginning of its value.*: give its bytes with --file$"):
        put_back(cut)
