"""The gateway and the stages read alike: what it accepts, alone or cut from a batch, they read as the same thing."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.core.decode import read
from meter.core.rejection import Rejected
from meter.core.strict_json import parse
from meter.gateway.bodies import BATCH, JSON, NDJSON, SINGLE, cut, cut_array
from meter.gateway.intake import COMMANDS, OUTSIDE_EVENTS, sort_out
from meter.gateway.problems import ProblemError
from schemas.events import decode_event
from schemas.metered import decode_wallet_input
from tests.oracle.build import STANDARD, chat, command
from tests.properties.odd_json import odd_text

EVENTS = [chat(0), chat(1, kind="notification.proactive"), chat(2, actor="bot", ws="ä")]
COMMAND_VALUES = [
    STANDARD,
    command("grant.assigned", grant_id="g", amount_micros=5, expires_at="2099-01-01T00:00:00Z"),
    command("bot.created", bot_id="b", name="\u2028"),
]

seeds = st.integers(0, 2**32)


def odd(seed: int, values: list[bytes]) -> bytes:
    rng = random.Random(seed)
    return odd_text(rng, json.loads(rng.choice(values))).encode("utf-8", "surrogatepass")


@given(seeds)
def test_an_event_that_the_gateway_accepts_the_sessionizer_reads_alike(seed: int) -> None:
    """And it refuses what the sessionizer refuses, ticks and policies aside."""
    value = odd(seed, EVENTS)
    body = cut(value, SINGLE)
    found = sort_out(body, OUTSIDE_EVENTS, lambda _: None)
    stage = read(value, decode_event)
    accepted = [(item.event, item.record.value) for item in found.accepted]
    assert accepted == ([] if isinstance(stage, Rejected) else [(stage, value)])


@given(seeds)
def test_a_command_that_the_gateway_accepts_the_wallet_reads_alike(seed: int) -> None:
    value = odd(seed, COMMAND_VALUES)
    found = sort_out(cut(value, SINGLE), COMMANDS, lambda _: None)
    stage = read(value, decode_wallet_input)
    accepted = [(item.event, item.record.value) for item in found.accepted]
    assert accepted == ([] if isinstance(stage, Rejected) else [(stage, value)])


@given(st.lists(seeds, max_size=5), seeds)
def test_a_batch_is_cut_where_the_parser_sees_its_values(chosen: list[int], seed: int) -> None:
    """If the whole is JSON to the parser, each part is the same value. If it is not, nothing wrong is accepted."""
    spaces = random.Random(seed).choices(("", " ", "\n", "\r\n\t"), k=4)
    values = [odd(each, EVENTS + COMMAND_VALUES) for each in chosen]
    data = b"%b[%b%b%b]" % (spaces[0].encode(), spaces[1].encode(), (spaces[2] + ",").encode().join(values), b" ")
    whole = parse(data)
    try:
        parts = cut_array(data)
    except ProblemError:
        assert isinstance(whole, Rejected)
        return
    if isinstance(whole, list):
        assert [parse(part) for part in parts] == whole
    elif "nested too deeply" not in str(whole):  # An event has a level less than an array with it.
        assert not parts or any(isinstance(parse(part), Rejected) for part in parts)


@given(st.lists(st.sampled_from(EVENTS + COMMAND_VALUES), min_size=1, max_size=4))
def test_each_form_of_body_gives_the_same_events(values: list[bytes]) -> None:
    array = b"[" + b",".join(values) + b"]"
    forms = [cut(array, BATCH), cut(array, JSON)]
    forms += [cut(b"\n".join(values), NDJSON), cut(b"\n\n".join(values) + b"\n", NDJSON)]
    assert [form.values for form in forms] == [values] * 4


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (b"[]", []),
        (b" [ ] ", []),
        (b'["\\ud83d",1]', [b'"\\ud83d"', b"1"]),
        (b'[{"a":"]"},"[",[[]]]', [b'{"a":"]"}', b'"["', b"[[]]"]),
        (b"[1e400,-0," + b"9" * 5_000 + b"]", [b"1e400", b"-0", b"9" * 5_000]),
        ('["ä","\\ud83d"]'.encode(), ['"ä"'.encode(), b'"\\ud83d"']),
        (b"[" + b"[" * 120 + b"]" * 120 + b"]", [b"[" * 120 + b"]" * 120]),
    ],
)
def test_an_array_is_cut(data: bytes, parts: list[bytes]) -> None:
    assert cut_array(data) == parts


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[",
        b"[1",
        b"[1,",
        b"[1,]",
        b"[,1]",
        b"[1 2]",
        b"[1]]",
        b"[1] x",
        b"\xef\xbb\xbf[1]",
        b'["\xff", "\\ud83d"]',
        b'["\\ud83d", 1',
        b"[" * 100_000,
        b'["\\ud83d",' + b"[" * 100_000,
    ],
)
def test_what_is_no_array_is_refused(data: bytes) -> None:
    with pytest.raises(ProblemError) as refused:
        cut_array(data)
    assert refused.value.status == 400


def test_a_form_of_outsiders_has_no_type_of_the_product() -> None:
    """Ticks and policies come from the product alone."""
    names: dict[str, Any] = OUTSIDE_EVENTS.structs | COMMANDS.structs
    assert [name for name in names if name.startswith("meter.")] == []
    assert set(OUTSIDE_EVENTS.structs) == {name for name in decode_event.structs if name.startswith("chat.")}
