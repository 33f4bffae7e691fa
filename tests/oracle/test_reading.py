"""Which lines are refused, under which code, naming which field (DOMAIN, Metering 6)."""

import json
from typing import Any

import pytest

from tests.oracle.reading import MAX_LINE_BYTES, RefusedError, read, to_ms

DATA: dict[str, Any] = {
    "workspace_id": "w",
    "bot_id": "b",
    "channel": "web",
    "channel_user_id": "u",
    "direction": "in",
    "actor": "user",
}
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "1",
    "source": "/s",
    "type": "chat.message",
    "time": "2026-09-01T10:00:00Z",
    "data": DATA,
}
GRANT: dict[str, Any] = {"workspace_id": "w", "grant_id": "g", "amount_micros": 1}


def refusal(line: bytes) -> tuple[str, str]:
    with pytest.raises(RefusedError) as refused:
        read(0, line)
    return refused.value.code, refused.value.field


def encoded(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello",
        encoded(EVENT)[:-1],
        b"[]",
        b"null",
        b'"text"',
        b"NaN",
        encoded(EVENT).replace(b'"u"', b'"\xff"'),
        encoded(EVENT | {"x": "?"}).replace(b"?", b"\xff"),
        encoded(EVENT).decode().encode("utf-16"),
        b"[" * 100_000,
        encoded(EVENT | {"x": float("nan")}),
    ],
)
def test_what_is_no_json_object_is_unreadable(line: bytes) -> None:
    """No field can be named."""
    assert refusal(line) == ("unreadable", "")


@pytest.mark.parametrize("field", EVENT)
def test_each_field_of_the_envelope_is_required(field: str) -> None:
    """The reason names the missing field, and an empty or wrong one."""
    without = {key: value for key, value in EVENT.items() if key != field}
    for record in (without, EVENT | {field: None}, EVENT | {field: ""}, EVENT | {field: 7}, EVENT | {field: []}):
        assert refusal(encoded(record)) == ("invalid", field)


@pytest.mark.parametrize("field", DATA)
def test_each_field_of_a_chat_event_is_required(field: str) -> None:
    """Also of a notification."""
    without = {key: value for key, value in DATA.items() if key != field}
    for data in (without, DATA | {field: None}, DATA | {field: ""}, DATA | {field: 7}, DATA | {field: {}}):
        for kind in ("chat.message", "chat.notification.alert"):
            assert refusal(encoded(EVENT | {"data": data, "type": kind})) == ("invalid", field)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("direction", "sideways"),
        ("direction", "IN"),
        ("actor", "robot"),
        ("bot_id", "\ud800"),
        ("channel", "x" * 513),
    ],
)
def test_values_outside_their_set_are_refused(field: str, value: str) -> None:
    """Sets are exact, and names have a length."""
    assert refusal(encoded(EVENT | {"data": DATA | {field: value}})) == ("invalid", field)


@pytest.mark.parametrize(
    "time",
    [
        "2026-09-01T10:00:00",
        "2026-09-01",
        "2026-02-30T10:00:00Z",
        "2026-09-01T24:00:00Z",
        "2026-09-01T10:00Z",
        "yesterday",
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:30:00+01:00",
    ],
)
def test_a_time_is_rfc_3339_with_its_zone_and_not_before_1970(time: str) -> None:
    """A naive time belongs to no day."""
    assert refusal(encoded(EVENT | {"time": time})) == ("invalid", "time")


@pytest.mark.parametrize(
    ("time", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T02:00:00.5+02:00", 500),
        ("1970-01-01T00:00:00.001999Z", 1),
        ("1969-12-31T23:00:00-01:00", 0),
        ("1970-01-01t00:00:01z", 1000),
    ],
)
def test_time_is_utc_in_milliseconds(time: str, ms: int) -> None:
    """DOMAIN, Metering 4; what is finer is cut off."""
    assert to_ms(time) == ms


def test_a_line_may_have_one_mebibyte_and_not_a_byte_more() -> None:
    """Extra fields are allowed as long as the line is."""
    padding = MAX_LINE_BYTES - len(encoded(EVENT | {"x": ""}))
    read(0, encoded(EVENT | {"x": "x" * padding}))
    read(0, encoded(EVENT | {"x": 0}).replace(b'"x": 0', b'"x": ' + b"9" * 9_999))
    assert refusal(encoded(EVENT | {"x": "x" * (padding + 1)})) == ("oversize", "")


@pytest.mark.parametrize(
    ("kind", "data", "field"),
    [
        ("workspace.created", {"workspace_id": "w"}, "plan"),
        ("workspace.created", {"workspace_id": "w", "plan": "gold"}, "plan"),
        ("workspace.created", {"workspace_id": "w", "plan": "standard", "free_grant_micros": -1}, "free_grant_micros"),
        ("workspace.created", {"workspace_id": "w", "plan": "standard", "owner": 1}, "owner"),
        ("bot.created", {"workspace_id": "w"}, "bot_id"),
        ("bot.created", {"workspace_id": "w", "bot_id": "b", "plan": "gold"}, "plan"),
        ("grant.assigned", {**GRANT, "grant_id": ""}, "grant_id"),
        ("grant.assigned", {**GRANT, "amount_micros": 0}, "amount_micros"),
        ("grant.assigned", {**GRANT, "amount_micros": "5"}, "amount_micros"),
        ("grant.assigned", {**GRANT, "amount_micros": True}, "amount_micros"),
        ("grant.assigned", {**GRANT, "amount_micros": 0.5}, "amount_micros"),
        ("grant.assigned", {**GRANT, "expires_at": "2026-09-01T10:00:00"}, "expires_at"),
        ("credits.purchased", {"workspace_id": "w", "amount_micros": 1, "method": "card"}, "order_id"),
        ("credits.purchased", {"workspace_id": "w", "amount_micros": 1, "order_id": "o"}, "method"),
        ("plan.changed", {"workspace_id": "w"}, "plan"),
        (
            "plan.changed",
            {"workspace_id": "w", "plan": "enterprise", "session_price_micros": 1.5},
            "session_price_micros",
        ),
        ("wallet.emptied", {"workspace_id": "w"}, "type"),
    ],
)
def test_a_wrong_command_names_its_field(kind: str, data: dict[str, Any], field: str) -> None:
    """Money is an integer; nothing else will do."""
    assert refusal(encoded(EVENT | {"type": f"billing.{kind}", "data": data})) == ("invalid", field)
