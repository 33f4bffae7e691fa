"""What the codec would let pass and is refused: doubled fields, times that are no RFC 3339, large numbers."""

import json
from typing import Any

import pytest

from meter.core.decode import read
from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.core.wallet.commands.outcome import Repeated
from meter.core.wallet.wallets import Wallets
from schemas.events import Message, decode_event
from schemas.metered import decode_wallet_input
from tests.oracle.build import T0, chat, command, stamp
from tests.oracle.reading import RefusedError
from tests.oracle.reading import read as oracle_read

DATA = json.dumps(json.loads(chat(0))["data"]).encode()
ORDER = command("credits.purchased", order_id="o", amount_micros=5, method="card")
GRANT = command("grant.assigned", grant_id="g", amount_micros=5, expires_at=stamp(T0 + 1))

TWICE = [
    (chat(0).replace(b'"channel": "web"', b'"channel": "web", "channel": "web"'), "data.channel"),
    (chat(0).replace(b'"channel": "web"', b'"channel": "sms", "channel": "web"'), "data.channel"),
    (chat(0).replace(b'"channel": "web"', b'"\\u0063hannel": "sms", "channel": "web"'), "data.channel"),
    (chat(0).replace(b'"data":', b'"type": "chat.message", "data":'), "type"),
    (chat(0).replace(b'"data":', b'"time": "2026-09-01T00:00:00Z", "data":'), "time"),
    (chat(0).replace(b'"data":', b'"data": ' + DATA + b', "data":'), "data"),
    (ORDER.replace(b'"method"', b'"method": "wire", "method"'), "data.method"),
    (ORDER.replace(b'"data":', b'"id": "1", "data":'), "id"),
]
NO_TIME = ["+0100", "-0000", "+01", "+01:60", "+24:00"]


def wrong(value: bytes) -> tuple[str, str]:
    """The code and the field of a refusal on the record's own topic; the oracle has to refuse it as well."""
    with pytest.raises(RefusedError):
        oracle_read(0, value)
    found = read(value, decode_wallet_input) if b"billing." in value else read(value, decode_event)
    assert isinstance(found, Rejected)
    return found.code, found.reason.partition(": ")[0]


@pytest.mark.parametrize(("value", "field"), TWICE)
def test_field_that_counts_stands_once(value: bytes, field: str) -> None:
    """DOMAIN, Metering 6: of two values every program would take another, be they equal or not, however written."""
    assert wrong(value) == ("invalid_field", field)


@pytest.mark.parametrize("zone", NO_TIME)
def test_offset_is_that_of_rfc_3339(zone: str) -> None:
    """Hours and minutes, with a colon between; of events and of commands, and of a grant's end."""
    good, bad = stamp(T0).encode(), stamp(T0)[:-1].encode() + zone.encode()
    assert wrong(chat(0).replace(good, bad)) == ("invalid_field", "time")
    assert wrong(command("plan.changed", 0, plan="standard").replace(good, bad)) == ("invalid_field", "time")
    end = stamp(T0 + 1)
    assert wrong(GRANT.replace(end.encode(), end[:-1].encode() + zone.encode())) == ("invalid_field", "data.expires_at")


@pytest.mark.parametrize("value", [chat(0).replace(b'"user"', b'"robot"')[:-1], b'"x",', b'{"id": 5, "x": NaN}'])
def test_what_is_no_json_is_no_wrong_field(value: bytes) -> None:
    """DOMAIN, Metering 6: of several reasons it is the first in the table, wherever in the record it lies."""
    assert wrong(value) == ("not_json", "value")


def test_number_that_no_float_can_hold_is_json() -> None:
    """It is in the wrong place, and that is the reason."""
    assert wrong(chat(0).replace(b'"1.0"', b"1e40992")) == ("invalid_field", "specversion")


def test_replacement_character_in_an_id_is_a_character() -> None:
    """Also where half a character stands in a text that no reader uses."""
    plain = chat(0, user="\ufffd")
    assert isinstance(read(plain, decode_event), Message)
    assert read(plain[:-1] + rb', "text": "\ud83d"}', decode_event) == read(plain, decode_event)


def test_unknown_field_may_stand_twice() -> None:
    """No reader takes either of them; not even one that is called as a known field is elsewhere."""
    extra = b'{"text": "a", "text": "b", "channel": "x", "nested": {"time": 1, "time": 2}, "expires_at": "+0100", '
    assert read(extra + chat(0)[1:], decode_event) == read(chat(0), decode_event)


@pytest.mark.parametrize("zone", ["+01:00", "-00:00", "+23:59"])
def test_other_zones_are_read(zone: str) -> None:
    """What is refused is the writing, not the zone."""
    assert isinstance(read(chat(0).replace(b'.000Z"', f'{zone}"'.encode()), decode_event), Message)


@pytest.mark.parametrize("field", ["origin_partition", "origin_offset", "watermark_ms"])
@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_number_that_no_checkpoint_can_hold_is_refused(field: str, number: int) -> None:
    """Any client can write to wallet-inputs; what would end the worker at its next checkpoint is a dead letter."""
    point: dict[str, Any] = {"type": "meter.safepoint", "origin_partition": 0, "origin_offset": 1, "watermark_ms": 1}
    found = read(json.dumps(point | {field: number}).encode(), decode_wallet_input)
    assert isinstance(found, Rejected)
    assert (found.code, found.reason.partition(": ")[0]) == ("invalid_field", field)
    assert not isinstance(read(json.dumps(point).encode(), decode_wallet_input), Rejected)


def test_command_in_another_zone_is_a_repeat() -> None:
    """The same instant written otherwise says the same, another one does not (DOMAIN, Metering 4 and 7)."""
    wallets = Wallets(Policy())
    in_zone = GRANT.replace(stamp(T0 - 86_400_000).encode(), b"2026-09-20T10:00:00.0009+01:00")
    assert in_zone != GRANT
    assert [wallets.step(decode_wallet_input(each)) for each in (GRANT, in_zone)] == [None, Repeated()]
    later = in_zone.replace(b"00.0009", b"00.0010")
    refused = wallets.step(decode_wallet_input(later))
    assert isinstance(refused, Rejected)
    assert refused.code == "conflict"
