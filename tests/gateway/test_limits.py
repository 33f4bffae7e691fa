"""Limits: the rate of a key, bytes that are held, slow and endless bodies, lengths of headers and numbers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.gateway.bodies import MAX_BODY_BYTES, SINGLE
from meter.gateway.limits import BURST, HeldBytes, Rates
from meter.gateway.problems import ProblemError
from schemas.topics import CHAT_EVENTS
from tests.gateway.fakes import World
from tests.oracle.build import chat


@given(st.integers(1, 5), st.lists(st.integers(0, 3_000), max_size=60))
def test_a_key_makes_no_more_requests_than_its_rate_and_a_burst(rate: int, pauses_ms: list[int]) -> None:
    """Compared with a second reading of the rule, in whole thousandths of a token."""
    now_ms, tokens = 0, rate * BURST * 1_000
    rates = Rates(rate, lambda: now_ms / 1_000)
    for pause_ms in pauses_ms:
        now_ms += pause_ms
        tokens = min(rate * BURST * 1_000, tokens + pause_ms * rate)
        is_allowed = tokens >= 1_000
        if tokens == 1_000:
            return  # At this boundary a sum of floats may fall on either side.
        with nullcontext() if is_allowed else pytest.raises(ProblemError):
            rates.spend("k")
        tokens -= 1_000 * is_allowed


async def test_beyond_its_rate_a_key_waits_and_others_do_not(tmp_path: Path) -> None:
    world = World(tmp_path, rate=2)
    token, other = world.key(), world.key()
    answers = [await world.ask("POST", "/v1/events", token, chat(0), content_type=SINGLE) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [202] * 4 + [429]
    assert (answers[-1].json()["code"], answers[-1].headers["retry-after"]) == ("too_many_requests", "1")
    assert (await world.ask("POST", "/v1/events", other, chat(0), content_type=SINGLE)).status_code == 202
    world.now_s += 0.5
    assert (await world.ask("POST", "/v1/events", token, chat(0), content_type=SINGLE)).status_code == 202
    assert len(world.kafka.values(CHAT_EVENTS)) == 6


async def test_buckets_of_keys_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    world = World(tmp_path)
    for _ in range(3):
        await world.ask("POST", "/v1/events", world.key(), chat(0), content_type=SINGLE)
        world.key_file.unlink()
    world.key()
    world.parts.keys.ring()
    assert world.parts.rates._buckets == {}


def test_held_bytes_are_bounded_over_all_requests_and_given_back() -> None:
    held = HeldBytes(10)
    with held.holding() as first, held.holding() as second:
        first(6)
        second(4)
        with pytest.raises(ProblemError, match="too many requests"):
            second(1)
        assert held.held_bytes == 10
    assert held.held_bytes == 0


async def test_a_body_that_comes_too_slowly_is_ended(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.parts.body_s = 0.01

    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with world.client(world.key()) as client:
        answer = await client.post("/v1/events", content=body(), headers={"content-type": SINGLE})
    assert (answer.status_code, answer.json()["code"], answer.headers["connection"]) == (408, "too_slow", "close")
    assert world.parts.held.held_bytes == 0


async def test_a_body_without_an_end_is_read_to_the_limit_only(tmp_path: Path) -> None:
    world, sent = World(tmp_path), 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 65_536

    async with world.client(world.key()) as client:
        answer = await client.post("/v1/events", content=body(), headers={"content-type": SINGLE})
    assert answer.status_code == 413
    assert sent <= MAX_BODY_BYTES // 65_536 + 1


async def test_a_full_gateway_says_so(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.parts.held = HeldBytes(100)
    answer = await world.ask("POST", "/v1/events", world.key(), chat(0), content_type=SINGLE)
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "busy", "5")
    assert world.kafka.topics == {}


async def test_a_compressed_body_is_refused(tmp_path: Path) -> None:
    """What it unpacks to would have no bound."""
    world = World(tmp_path)
    answer = await world.ask("POST", "/v1/events", world.key(), chat(0), content_type=SINGLE, content_encoding="gzip")
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_encoding")
