"""What a moved record carries, and what a replay of its dead letter does with that."""

import pytest

from meter.commands.mover import CommandMover
from meter.core.rejection import Rejected
from meter.kafka.home import home_of
from meter.kafka.records import Record
from meter.stage.dead_letter import dead_letter
from meter.stage.moves import Moves, moved
from schemas.dead_letters import REPLAY_OF, from_record
from schemas.events import encode_tick
from schemas.headers import size_of
from schemas.moves import AMONG, LEFT_OUT, MOVED_FROM, RECEIVED_MS, Move, left_out_headers, move_of
from schemas.replays import Claim
from schemas.shortened_letters import BATCH_BYTES
from schemas.topics import ACCOUNT_COMMANDS, CHAT_EVENTS, DEAD_LETTERS, MAX_RECORD_BYTES, WALLET_INPUTS
from tests.properties.memory_log import stored
from tests.properties.worlds import START, WHO, chat, command

GRANT = command("grant.assigned", START, "g", "w", grant_id="g", amount_micros=5)


def test_a_moved_record_is_the_same_bytes_under_the_key_of_its_workspace() -> None:
    """With its own headers, and with where it lay and when it came there; forged ones are gone."""
    own = [("trace", b"1"), (MOVED_FROM, b"chat-events/9/9"), (REPLAY_OF, b"chat-events/0/3")]
    lay = stored(CHAT_EVENTS.name, 1, 17, Record(b"foreign", b"bytes", own), 1_700_000_000_000)
    found = moved(CHAT_EVENTS, 1, lay, "w", 8)
    assert (found.key, found.value) == (b"w", b"bytes")
    assert found.headers == [
        (MOVED_FROM, b"chat-events/1/17"),
        (RECEIVED_MS, b"1700000000000"),
        (AMONG, b"8"),
        ("trace", b"1"),
        (REPLAY_OF, b"chat-events/0/3"),
    ]
    assert move_of(found.headers, CHAT_EVENTS.name) == Move(CHAT_EVENTS.name, 1, 17, 1_700_000_000_000, 8)


def test_headers_move_along_as_long_as_the_record_fits() -> None:
    """All of them in any but the largest records. Small headers beside a large one stay, and those that go are counted.

    The last stay first: a replay's marks are behind the others, and a refusal of the moved record has to name it.
    """
    own: list[tuple[str, bytes | None]] = [("large", b"x" * 1_000_000), ("small", b"y"), ("null", None)]
    key, value = b"w", b"v" * 100
    lay = stored(CHAT_EVENTS.name, 1, 17, Record(key, value, own))
    assert list(moved(CHAT_EVENTS, 1, lay, "w", 8).headers or ())[3:] == own
    move = Move(CHAT_EVENTS.name, 0, 0, 0)
    assert move.headers(own, 1_000_000)[2:] == [(LEFT_OUT, b"1"), *own[1:]]
    many = [(f"h-{number}", b"x" * 100) for number in range(1_000)]
    marks = Claim("chat-events/0/1", "nonce", b"").marks()
    found = move.headers([*many, *marks], 5_000)
    assert size_of(found) <= 5_000
    assert found[-2:] == marks
    assert left_out_headers(found) == 1_000 - (len(found) - 5)


def test_a_moved_record_of_the_largest_size_still_fits() -> None:
    """It loses headers rather than stopping its partition."""
    lay = stored(CHAT_EVENTS.name, 1, 17, Record(b"k", b"v" * (MAX_RECORD_BYTES - 2_000), [("h", b"x" * 900)]))
    found = moved(CHAT_EVENTS, 1, lay, "w", 8)
    headers = found.headers or ()
    assert len(found.key or b"") + len(found.value or b"") + size_of(headers) + BATCH_BYTES <= MAX_RECORD_BYTES
    assert left_out_headers(headers) == 1


def test_a_moved_record_is_not_moved_again() -> None:
    """It is refused as `wrong_partition`; the reason names where it came from."""
    here = (home_of("w", 4) + 1) % 4
    lay = stored(CHAT_EVENTS.name, here, 17, Record(b"w", b"", Move(CHAT_EVENTS.name, 3, 5, 0).headers((), 500)))
    refused = Moves(CHAT_EVENTS, here, 4).refused(lay, "w")
    assert refused is not None
    assert refused.code == "wrong_partition"
    assert "from chat-events/3/5" in refused.reason


SAFE_POINT = b'{"type":"meter.safepoint","origin_partition":0,"origin_offset":1,"watermark_ms":1}'


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "null_value"),
        (b"{", "not_json"),
        (chat(START, "e", WHO[0]), "unknown_type"),
        (encode_tick(START), "unknown_type"),
        (SAFE_POINT, "unknown_type"),
        (SAFE_POINT.replace(b"safepoint", b"conversation"), "unknown_type"),
        (GRANT.replace(b'"grant_id":"g",', b""), "missing_field"),
        (GRANT.replace(b"5}", b"-5}"), "invalid_field"),
        (GRANT[:-1] + b',"id":"twice"}', "invalid_field"),
    ],
)
def test_only_account_commands_pass_account_commands(value: bytes | None, code: str) -> None:
    """Everything else is a dead letter of where it lies, with a code and a reason, whole."""
    mover = CommandMover(2, 4)
    letters, commands = mover.process([stored(ACCOUNT_COMMANDS.name, 2, 8, Record(b"k", value))])
    assert commands.records == []
    assert isinstance(letters.records, list)
    (record,) = letters.records
    letter = from_record(record.key, record.value, record.headers or [])
    assert (letters.topic, letter.code, letter.value) == (DEAD_LETTERS, code, value)
    assert letter.letter_id == "account-commands/2/8"
    assert letter.reason


def test_a_command_from_outside_is_moved_and_counted() -> None:
    """Under the key of its workspace, from any partition; the counts outlive a restart."""
    mover = CommandMover(2, 4)
    given = [
        stored(ACCOUNT_COMMANDS.name, 2, at, Record(None, value), 5) for at, value in enumerate((GRANT, b"", GRANT))
    ]
    _, commands = mover.process(given)
    assert commands.topic == WALLET_INPUTS
    assert commands.records == [
        Record(b"w", GRANT, [(MOVED_FROM, f"account-commands/2/{at}".encode()), (RECEIVED_MS, b"5"), (AMONG, b"4")])
        for at in (0, 2)
    ]
    again = CommandMover(2, 4)
    again.finish(mover.mark(), -1)
    assert again.mark() == mover.mark() != CommandMover(2, 4).mark()


def test_the_dead_letter_of_a_moved_record_says_where_it_lay() -> None:
    """So that a replay puts it back there. A chat event cannot claim to have come from account-commands."""
    headers = Move(ACCOUNT_COMMANDS.name, 1, 7, 5).headers((), 500)
    for topic, expected in ((WALLET_INPUTS, "account-commands/1/7"), (CHAT_EVENTS, "")):
        record = stored(topic.name, 0, 9, Record(b"w", b"{", headers))
        letter = dead_letter(topic, 0, record, Rejected("conflict", "id: ?"))
        assert letter.moved_from == expected
        assert from_record(letter.key, letter.value, letter.headers()) == letter
