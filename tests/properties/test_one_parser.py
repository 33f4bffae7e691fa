"""One parser decides: the codec, the kernel, the feed and the oracle read one record the same (docs/adr/0019)."""

import json
from random import Random
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meter.core.decode import _quickly, read, sort
from meter.core.interpret import interpret
from meter.core.rejection import Rejected
from meter.core.strict_json import parse
from meter.ingest.feed_files import classify
from schemas.commands import decode_command
from schemas.events import MAX_EVENT_BYTES, ClockTick, decode_event
from schemas.forms import Form
from schemas.instants import to_ms
from schemas.metered import decode_wallet_input
from tests.oracle.build import chat, command
from tests.oracle.reading import RefusedError
from tests.oracle.reading import read as oracle_read
from tests.properties.odd_json import odd_text
from tests.properties.test_kernel import compared
from tests.properties.worlds import NOW
from tests.sessionizer_engines import needs_kernel

RECORDS: Final[tuple[dict[str, Any], ...]] = tuple(
    json.loads(each)
    for each in (
        *[chat(0), chat(1, type="chat.notification.alert"), chat(2, ws='w"x', user="é\U0001f600")] * 2,
        command("credits.purchased", order_id="o", amount_micros=5_000_000, method="card"),
        command("grant.assigned", grant_id="g", amount_micros=5, expires_at="2026-12-01T00:00:00.000Z"),
        command("workspace.created", plan="standard", owner="o", name="n"),
        b'{"specversion":"1.0","id":"t","source":"/s","type":"meter.tick","time":"2026-09-08T00:00:00Z","final":false}',
    )
)
EVENT: Final = chat(0)
ORDER: Final = command("credits.purchased", order_id="o", amount_micros=5_000_000, method="card")
FOUND_WRONG: Final = (
    ORDER.replace(b'"card"', b'"card", "note": "thank you \\ud83d"'),
    ORDER.replace(b'"card"', b'"card", "rate": 1e400'),
    ORDER.replace(b'"card"', b'"card", "n": ' + b"9" * 5_000),
    EVENT.replace(b".000Z", b"\\u002e9999999Z"),
    EVENT.replace(b'"time"', b'"\\u0074ime"').replace(b".000Z", b".9999999Z"),
    ORDER.replace(b'"time"', b'"tim\\u0065"').replace(b".000Z", b".9999999Z"),
    EVENT[:-1] + b', "x": ' + b"[" * 127 + b"]" * 127 + b"}",
    EVENT[:-1] + b', "x": ' + b"[" * 128 + b"]" * 128 + b"}",
    EVENT[:-1] + b', "\\ud83d": 1}',
    EVENT.replace(b'"web"', b'"w\\ud83d"'),
    b"\xef\xbb\xbf" + ORDER,
    ORDER.replace(b'"type": "billing', b'"\\u0074ype": "\\u0062illing'),
    EVENT[:-1] + b', "type": "billing.credits.purchased"}',
)
"""What two parsers read in two ways, or refused without need, and values at the limits."""


def written(seed: int) -> bytes:
    rng = Random(seed)
    return odd_text(rng, rng.choice(RECORDS)).encode("utf-8", "surrogatepass")


UNKNOWN_COMMAND: Final = 3678
"""A seed whose record has a type that begins as a command's and is none."""

odd_json = st.integers(0, 2**32).map(written)


def check(value: bytes) -> None:
    """All that read the record in Python, without the kernel."""
    for form in (decode_event, decode_wallet_input):
        assert_quick_is_strict(value, form)
    line = classify(value)
    stage: Form[Any] = decode_wallet_input if line.is_command else decode_event
    found = read(value, stage)  # A refused type's reason lists what the reader takes: the wallet, or its mover.
    assert line.at_ms == (None if isinstance(found, Rejected) else to_ms(found.time))
    if not isinstance(found, Rejected | ClockTick):
        assert line.key == found.data.workspace_id.encode()
    assert sort(value)[1] == read(value, decode_command if line.is_command else decode_event)
    if not isinstance(found, ClockTick) and b"meter.tick" not in value:
        assert_as_the_oracle(value, found)


def assert_quick_is_strict(value: bytes, form: Form[Any]) -> None:
    """The codec is used only for what the parser reads the same."""
    quick = _quickly(value, form)
    if quick is not None:
        parsed = parse(value)
        assert not isinstance(parsed, Rejected)
        assert quick == interpret(parsed, form)


def times_of(found: Any) -> list[int]:
    ends = getattr(found.data, "expires_at", None)
    return [to_ms(each) for each in (found.time, ends) if each is not None]


def assert_as_the_oracle(value: bytes, found: Any) -> None:
    """The same record is refused, and one that is not has the same identity, time and workspace."""
    try:
        expected = oracle_read(0, value)
    except RefusedError:
        assert isinstance(found, Rejected) or min(times_of(found)) < 0  # The wallet and the sessionizer refuse those.
        return
    assert not isinstance(found, Rejected)
    ours = (found.data.workspace_id, found.source, found.id, to_ms(found.time), found.__struct_config__.tag)
    assert ours == (expected.workspace, expected.source, expected.id, expected.time, expected.type)


@given(odd_json)
@example(written(UNKNOWN_COMMAND))
def test_every_reader_reads_odd_json_the_same(value: bytes) -> None:
    """DOMAIN, Metering 6: a record is routed by what its stage reads in it, and both as the oracle reads it."""
    check(value)


@pytest.mark.parametrize("value", FOUND_WRONG)
def test_what_two_parsers_read_in_two_ways_is_read_in_one(value: bytes) -> None:
    """The same, of each record that was lost, moved to another day or refused without need."""
    check(value)


@needs_kernel
@given(st.lists(odd_json, min_size=1, max_size=8))
@example(list(FOUND_WRONG))
def test_kernel_takes_of_odd_json_only_what_the_core_reads_the_same(values: list[bytes]) -> None:
    """What the kernel is not sure of it hands back."""
    compared([*values, EVENT], NOW)


def test_a_command_with_odd_fields_that_do_not_count_is_routed_and_read() -> None:
    """Half of an emoji, a number beyond a float, one of 5,000 digits, escapes in names: the purchase stands."""
    for value in (*FOUND_WRONG[:3], FOUND_WRONG[5], FOUND_WRONG[11]):
        line = classify(value)
        assert line.is_command
        assert line.at_ms is not None
        assert not isinstance(read(value, decode_wallet_input), Rejected)


@pytest.mark.parametrize("value", FOUND_WRONG[3:6])
def test_an_escape_does_not_bring_rounding_back(value: bytes) -> None:
    """DOMAIN, Metering 4: digits finer than a millisecond are cut off, however the time is written."""
    whole = json.loads(ORDER if b"billing" in value else EVENT)["time"]
    second = classify(json.dumps(json.loads(value) | {"time": whole}).encode()).at_ms
    assert second is not None
    assert classify(value).at_ms == second + 999


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (EVENT.replace(b'"user"}', b'"robot"}'), 'data.actor: "robot" is not one of user, bot, agent, developer'),
        (EVENT.replace(b'"1.0"', b'"0.3"'), 'specversion: "0.3" is not 1.0'),
        (
            EVENT.replace(b"chat.message", b"chat.massage"),
            'type: "chat.massage" is not one of '
            "chat.message, chat.notification.proactive, chat.notification.alert, meter.tick, meter.policy",
        ),
        (
            EVENT.replace(b'"in"', b'"' + b"x" * 500_000 + b'"'),
            'data.direction: "' + "x" * 64 + '..." is not one of in, out',
        ),
        (EVENT.replace(b'"web"', b'"w\\ud83d"'), 'data.channel: "w\\ud83d" holds half of a surrogate pair'),
        (b"\xef\xbb\xbf" + EVENT, "value: begins with a byte order mark, which is not JSON: write it without"),
        (EVENT[:-1] + b', "x": NaN}', "value: JSON is malformed: NaN is no number"),
    ],
)
def test_a_reason_says_what_is_allowed(value: bytes, reason: str) -> None:
    """A person who reads it knows what to write, and no reason is longer than a few lines."""
    assert len(value) < MAX_EVENT_BYTES
    found = read(value, decode_event)
    assert isinstance(found, Rejected)
    assert found.reason == reason
