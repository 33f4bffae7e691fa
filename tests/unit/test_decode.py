"""Reading what strangers write: a value, or a reason that names the field."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.decode import read
from meter.core.rejection import Rejected
from schemas.commands import CreditsPurchased
from schemas.events import MAX_EVENT_BYTES, ClockTick, Message, decode_event, encode_tick
from schemas.instants import rfc3339, to_ms
from schemas.metered import decode_wallet_input
from tests.oracle.build import T0, chat, command, stamp
from tests.oracle.reading import RefusedError
from tests.oracle.reading import read as oracle_read

EVENT: dict[str, Any] = json.loads(chat(0))
ORDER: dict[str, Any] = json.loads(command("credits.purchased", order_id="o", amount_micros=5, method="card"))
GRANT: dict[str, Any] = json.loads(command("grant.assigned", grant_id="g", amount_micros=5))
CREATED: dict[str, Any] = json.loads(command("workspace.created", plan="standard"))


def less(record: dict[str, Any], field: str) -> bytes:
    return json.dumps({key: value for key, value in record.items() if key != field}).encode()


def with_(record: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps(record | fields).encode()


def data_less(record: dict[str, Any], field: str) -> bytes:
    return with_(record, data={key: value for key, value in record["data"].items() if key != field})


def data_with(record: dict[str, Any], **fields: Any) -> bytes:
    return with_(record, data=record["data"] | fields)


CHAT_DATA = ("workspace_id", "bot_id", "channel", "channel_user_id", "direction", "actor")
NAMES = ("workspace_id", "bot_id", "channel", "channel_user_id")

EVENTS = [
    (None, "null_value", "value"),
    (b"", "not_json", "value"),
    (b"not json", "not_json", "value"),
    (chat(0)[:-1], "not_json", "value"),
    (chat(0) + b" x", "not_json", "value"),
    (b"\xef\xbb\xbf" + chat(0), "not_json", "value"),
    (chat(0).replace(b'"web"', b'"w\x00b"'), "not_json", "value"),
    (chat(0)[:-1] + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not_json", "value"),
    (chat(0)[:-1] + b',"x":NaN}', "not_json", "value"),
    (b"[]", "not_an_event", "value"),
    (b"null", "not_an_event", "value"),
    (b"42", "not_an_event", "value"),
    (b'"text"', "not_an_event", "value"),
    (chat(0).replace(b'"web"', b'"\xff"'), "invalid_utf8", "value"),
    (chat(0)[:-1] + b',"x":"\xff"}', "invalid_utf8", "value"),
    (with_(EVENT, padding="x" * MAX_EVENT_BYTES), "too_large", "value"),
    *(
        (less(EVENT, field), "missing_field", field)
        for field in ("specversion", "id", "source", "time", "data", "type")
    ),
    *((data_less(EVENT, field), "missing_field", f"data.{field}") for field in CHAT_DATA),
    *((data_with(EVENT, **{field: ""}), "invalid_field", f"data.{field}") for field in NAMES),
    *((data_with(EVENT, **{field: 5}), "invalid_field", f"data.{field}") for field in CHAT_DATA),
    *((data_with(EVENT, **{field: None}), "invalid_field", f"data.{field}") for field in CHAT_DATA),
    *((data_with(EVENT, **{field: "x" * 513}), "invalid_field", f"data.{field}") for field in NAMES),
    (data_with(EVENT, direction="sideways"), "invalid_field", "data.direction"),
    (data_with(EVENT, actor="robot"), "invalid_field", "data.actor"),
    (with_(EVENT, specversion="0.3"), "invalid_field", "specversion"),
    (with_(EVENT, type="chat.unknown"), "unknown_type", "type"),
    (with_(EVENT, type=7), "unknown_type", "type"),
    (with_(EVENT, type="billing.workspace.created"), "unknown_type", "type"),
    (with_(EVENT, id=""), "invalid_field", "id"),
    (with_(EVENT, id=7), "invalid_field", "id"),
    (with_(EVENT, source=""), "invalid_field", "source"),
    (with_(EVENT, data=[]), "invalid_field", "data"),
    (with_(EVENT, data=None), "invalid_field", "data"),
    *(
        (with_(EVENT, time=time), "invalid_field", "time")
        for time in (
            T0,
            "",
            "yesterday",
            "2026-09-01",
            "2026-09-01T00:00:00",
            "2026-09-01T00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-09-01T24:00:00Z",
            "2026-09-01T23:59:60Z",
            "2026-09-01T00:00:00+25:00",
        )
    ),
]
COMMANDS = [
    (None, "null_value", "value"),
    (b"{", "not_json", "value"),
    (with_(CREATED, type="billing.unknown"), "unknown_type", "type"),
    (less(ORDER, "time"), "missing_field", "time"),
    *((data_less(ORDER, field), "missing_field", f"data.{field}") for field in ORDER["data"]),
    *((data_less(GRANT, field), "missing_field", f"data.{field}") for field in GRANT["data"]),
    *((data_less(CREATED, field), "missing_field", f"data.{field}") for field in CREATED["data"]),
    *(
        (data_with(ORDER, amount_micros=amount), "invalid_field", "data.amount_micros")
        for amount in (0, -1, 0.5, 5.0, True, "5", None, 10**15 + 1, 10**30)
    ),
    (data_with(GRANT, expires_at="2026-09-01T00:00:00"), "invalid_field", "data.expires_at"),
    (data_with(CREATED, plan="gold"), "invalid_field", "data.plan"),
    (data_with(CREATED, session_price_micros=-1), "invalid_field", "data.session_price_micros"),
    (data_with(CREATED, free_grant_micros=0.5), "invalid_field", "data.free_grant_micros"),
    (data_with(CREATED, owner=5), "invalid_field", "data.owner"),
    (data_with(ORDER, bot_id=""), "invalid_field", "data.bot_id"),
]


@pytest.mark.parametrize(("value", "code", "field"), EVENTS)
def test_a_malformed_event_names_its_field(value: bytes | None, code: str, field: str) -> None:
    """DOMAIN, Metering 6: every kind, with a word for counting and a sentence that begins with the field."""
    assert_refused(read(value, decode_event), code, field)


@pytest.mark.parametrize(("value", "code", "field"), COMMANDS)
def test_a_malformed_command_names_its_field(value: bytes | None, code: str, field: str) -> None:
    """The same on the wallets' topic."""
    assert_refused(read(value, decode_wallet_input), code, field)


def assert_refused(found: object, code: str, field: str) -> None:
    assert isinstance(found, Rejected)
    named, _, why = found.reason.partition(": ")
    assert (found.code, named) == (code, field)
    assert why
    assert "`" not in why


def test_unknown_fields_are_allowed_and_dropped() -> None:
    """Extra fields of any kind, in any order and anywhere; none of them is kept."""
    extra = {"text": "a secret", "nested": {"time": 1, "list": [None, 1e300, "\u2028"]}}
    found = read(json.dumps(extra | EVENT | {"data": extra | EVENT["data"]}).encode(), decode_event)
    assert found == read(chat(0), decode_event)
    assert "secret" not in repr(found)


@pytest.mark.parametrize("limit", [0, 1])
def test_the_size_limit_to_the_byte(limit: int) -> None:
    """An event may have as many bytes as that, and not one more."""
    empty = with_(EVENT, padding="")
    found = read(with_(EVENT, padding="x" * (MAX_EVENT_BYTES - len(empty) + limit)), decode_event)
    assert isinstance(found, Rejected) is bool(limit)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.001Z", 1),
        ("1970-01-01T05:45:00+05:45", 0),
        ("1969-12-31T20:30:00-03:30", 0),
        ("1970-01-01t00:00:00z", 0),
        ("1970-01-01T00:00:00.0019999Z", 1),
        ("1970-01-01T00:00:00.9999999Z", 999),
        ("1970-01-01T23:59:59.999999999Z", 86_399_999),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_time_is_cut_to_the_millisecond(text: str, at: int) -> None:
    """DOMAIN, Metering 4: UTC, in milliseconds. What is finer is cut off, however fine: it never moves an event to the
    next day."""
    found = read(with_(EVENT, time=text), decode_event)
    assert isinstance(found, Message)
    assert to_ms(found.time) == at


def test_a_tick_is_an_event() -> None:
    """What the meter writes itself it can read."""
    found = read(encode_tick(T0), decode_event)
    assert isinstance(found, ClockTick)
    assert rfc3339(to_ms(found.time)) == stamp(T0)


def test_a_command_is_read_whole() -> None:
    """With what it leaves out at its default."""
    found = read(json.dumps(ORDER).encode(), decode_wallet_input)
    assert isinstance(found, CreditsPurchased)
    assert (found.data.order_id, found.data.amount_micros, found.data.bot_id) == ("o", 5, None)


LINES = (chat(0), json.dumps(ORDER).encode(), json.dumps(GRANT).encode(), json.dumps(CREATED).encode())


bytes_of_json = st.integers(0, 255) | st.sampled_from(b'0123456789":,{}[]TZ+-. aetuxz')


@given(st.sampled_from(LINES), st.lists(st.tuples(st.integers(0, 400), bytes_of_json), min_size=1, max_size=4))
def test_whatever_is_written_is_read_or_refused_as_the_oracle_does(line: bytes, flips: list[tuple[int, int]]) -> None:
    """Metering 6: no bytes make the meter fail. What escapes might hide, half a character, is refused anywhere."""
    broken = bytearray(line)
    for place, byte in flips:
        broken[place % len(broken)] = byte
    value = bytes(broken)
    found = [read(value, decode_event), read(value, decode_wallet_input)]
    if b"\\u" not in value:
        assert any(_is_usable(each) for each in found) is not oracle_refuses(value)


def _is_usable(found: object) -> bool:
    """A wallet and a sessionizer refuse what lies before 1970, which can be read."""
    return not isinstance(found, Rejected) and to_ms(getattr(found, "time")) >= 0  # noqa: B009 - of any type


def oracle_refuses(value: bytes) -> bool:
    try:
        oracle_read(0, value)
    except RefusedError:
        return True
    return False


@pytest.mark.parametrize("text", [r"\ud83d", r"cut \uD83D", r"\ude00 first", r"\ud83d\ud83d\ude00", r"\\\ud83d"])
def test_half_an_emoji_in_a_text_is_no_reason_not_to_bill(text: str) -> None:
    """Unknown fields are allowed, and what stands in them does not count: not even text that was cut in a character."""
    found = read(chat(0)[:-1] + f',"text":"{text}"}}'.encode(), decode_event)
    assert found == read(chat(0), decode_event)


def test_half_an_emoji_in_an_id_is_refused() -> None:
    """Where it counts it cannot be replaced: two ids would become one."""
    found = read(chat(0).replace(b'"web"', rb'"w\ud83d"'), decode_event)
    assert isinstance(found, Rejected)
    assert found == Rejected("invalid_field", 'data.channel: "w\\ud83d" holds half of a surrogate pair')
