"""A table of requests and answers: events and commands, whole and refused, in each form of body."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from meter.gateway.bodies import BATCH, MAX_BATCH, MAX_BODY_BYTES, NDJSON, SINGLE
from meter.gateway.keys import KeyRole
from schemas.events import MAX_EVENT_BYTES, encode_tick
from schemas.topics import CHAT_EVENTS, TOPICS, WALLET_INPUTS
from tests.gateway.fakes import World, changed
from tests.oracle.build import STANDARD, chat, command

EVENT, OTHER = chat(0), chat(1, ws="other")
GRANT = command("grant.assigned", id="g-1", grant_id="g", amount_micros=5)
PLAN = command("plan.changed", id="p-1", plan="standard")
ARRAY = b"[ %b ,\n%b]"


class Case(NamedTuple):
    """A request with the key of `role` for workspace `w`, and what comes back; `written` lie on the route's topic."""

    content: bytes
    status: int
    code: str = ""
    field: str = ""
    written: tuple[bytes, ...] = ()
    role: KeyRole = "platform_admin"
    kind: str = SINGLE
    path: str = "/v1/events"
    refused: tuple[tuple[int, str], ...] = ()


def command_case(content: bytes, status: int, code: str = "", **more: Any) -> Case:
    return Case(content, status, code, path="/v1/commands", **more)


BIG = changed(EVENT, note="x" * MAX_EVENT_BYTES)
CASES = {
    "one event": Case(EVENT, 202, written=(EVENT,)),
    "one event of a runtime": Case(EVENT, 202, written=(EVENT,), role="runtime"),
    "its bytes are written as they came": Case(b" " + EVENT + b"\n", 202, written=(b" " + EVENT + b"\n",)),
    "plain JSON": Case(EVENT, 202, written=(EVENT,), kind="application/json; charset=utf-8"),
    "plain JSON that is an array": Case(ARRAY % (EVENT, OTHER), 202, written=(EVENT, OTHER), kind="application/json"),
    "a batch": Case(ARRAY % (EVENT, OTHER), 202, written=(EVENT, OTHER), kind=BATCH),
    "lines": Case(EVENT + b"\r\n\n" + OTHER, 202, written=(EVENT + b"\r", OTHER), kind=NDJSON),
    "a batch with another workspace": Case(
        ARRAY % (EVENT, OTHER), 202, written=(EVENT,), kind=BATCH, role="runtime", refused=((1, "other_workspace"),)
    ),
    "a batch with events that cannot be read": Case(
        b"[" + b",".join([b"{}", EVENT, b"7", changed(EVENT, id=""), OTHER]) + b"]",
        202,
        written=(EVENT, OTHER),
        kind=BATCH,
        refused=((0, "missing_field"), (2, "not_an_event"), (3, "invalid_field")),
    ),
    "a batch of refused ones": Case(
        b"{\n" + changed(EVENT, time=None),
        422,
        "all_refused",
        kind=NDJSON,
        refused=((0, "not_json"), (1, "missing_field")),
    ),
    "a batch of events of others": Case(
        OTHER, 403, "all_refused", kind=NDJSON, role="runtime", refused=((0, "other_workspace"),)
    ),
    "a field is missing": Case(changed(EVENT, data_channel=None), 422, "missing_field", "data.channel"),
    "a field is wrong": Case(changed(EVENT, data_actor="cat"), 422, "invalid_field", "data.actor"),
    "a time without an offset": Case(changed(EVENT, time="2026-09-01T00:00:00"), 422, "invalid_field", "time"),
    "a field is there twice": Case(EVENT[:-1] + b',"id":"x"}', 422, "invalid_field", "id"),
    "no JSON": Case(b"{", 400, "not_json"),
    "no UTF-8": Case(b'"\xff"', 400, "invalid_utf8"),
    "no object": Case(b"null", 422, "not_an_event"),
    "an event that is too large": Case(BIG, 413, "too_large"),
    "a body that is too large": Case(b" " * (MAX_BODY_BYTES + 1), 413, "too_large"),
    "a batch that is too long": Case(b"{}\n" * (MAX_BATCH + 1), 413, "too_many", kind=NDJSON),
    "an empty body": Case(b" ", 400, "empty"),
    "an empty batch": Case(b"[]", 400, "empty", kind=BATCH),
    "a batch that is no array": Case(EVENT, 400, "not_json", kind=BATCH),
    "a batch that is cut off": Case(b"[" + EVENT + b",", 400, "not_json", kind=BATCH),
    "another type": Case(EVENT, 415, "unsupported_type", kind="text/plain"),
    "another charset": Case(EVENT, 415, "unsupported_type", kind=f"{SINGLE}; charset=latin-1"),
    "a tick": Case(encode_tick(0), 422, "unknown_type", "type"),
    "a command among events": Case(GRANT, 422, "unknown_type", "type"),
    "another workspace": Case(OTHER, 403, "other_workspace", "data.workspace_id", role="runtime"),
    "an event of an owner": Case(EVENT, 403, "not_allowed", role="owner"),
    "one command": command_case(GRANT, 202, written=(GRANT,)),
    "a batch of commands": command_case(ARRAY % (GRANT, PLAN), 202, written=(GRANT, PLAN), kind=BATCH),
    "a command that cannot be read": command_case(
        changed(GRANT, data_amount_micros=-1), 422, "invalid_field", field="data.amount_micros"
    ),
    "an event among commands": command_case(EVENT, 422, "unknown_type", field="type"),
    "a safe point among commands": command_case(
        b'{"type":"meter.safepoint","origin_partition":0,"origin_offset":1,"watermark_ms":1}',
        422,
        "unknown_type",
        field="type",
    ),
    "a command of a runtime": command_case(GRANT, 403, "not_allowed", role="runtime"),
    "a bot that an administrator names": command_case(
        command("bot.created", bot_id="b"), 202, written=(command("bot.created", bot_id="b"),), role="admin"
    ),
    "a grant that an owner gives": command_case(GRANT, 403, "not_allowed", role="owner"),
    "a workspace that an owner creates": command_case(STANDARD, 403, "not_allowed", role="owner"),
    "a plan that an owner changes": command_case(PLAN, 403, "not_allowed", role="owner"),
    "a command for another workspace": command_case(
        command("bot.created", ws="x", bot_id="b"), 403, "other_workspace", field="data.workspace_id", role="owner"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_request_has_its_answer(case: Case, tmp_path: Path) -> None:
    """A refused one is a problem document and writes nothing."""
    world = World(tmp_path)
    token = world.key(case.role, "" if case.role == "platform_admin" else "w")
    answer = await world.ask("POST", case.path, token, case.content, content_type=case.kind)
    document = answer.json()
    assert (answer.status_code, document.get("code", ""), document.get("field", "")) == (
        case.status,
        case.code,
        case.field,
    ), document
    topic = WALLET_INPUTS if case.path == "/v1/commands" else CHAT_EVENTS
    assert tuple(world.kafka.values(topic)) == case.written
    assert all(not world.kafka.values(each) for each in TOPICS if each is not topic)
    assert tuple((each["index"], each["code"]) for each in document.get("refused", ())) == case.refused
    if case.code:
        assert answer.headers["content-type"] == "application/problem+json"
        assert document["status"] == case.status
        assert document["detail"]
    if not case.code and case.kind != SINGLE:
        assert document["accepted"] == len(case.written)


async def test_a_record_has_the_key_of_its_workspace(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.ask("POST", "/v1/events", world.key(), OTHER, content_type=SINGLE)
    await world.ask("POST", "/v1/commands", world.key(), GRANT, content_type=SINGLE)
    assert [record.key for records in world.kafka.topics.values() for record in records] == [b"other", b"w"]


@pytest.mark.parametrize(("is_known_up", "code"), [(False, "kafka_away"), (True, "not_acknowledged")])
@pytest.mark.parametrize(("path", "content"), [("/v1/events", EVENT), ("/v1/commands", GRANT), ("/v1/commands", ARRAY)])
async def test_without_kafka_the_answer_is_to_try_again(
    is_known_up: bool, code: str, path: str, content: bytes, tmp_path: Path
) -> None:
    world = World(tmp_path)
    world.kafka.is_known_up, world.kafka.is_away = is_known_up, True
    kind = BATCH if content is ARRAY else SINGLE
    content = ARRAY % (GRANT, PLAN) if content is ARRAY else content
    answer = await world.ask("POST", path, world.key(), content, content_type=kind, prefer="wait=5")
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, code, "5")
    assert world.kafka.topics == {}
    assert world.parts.held.held_bytes == 0


async def test_each_answer_has_the_security_headers_and_none_for_other_origins(tmp_path: Path) -> None:
    world = World(tmp_path)
    for method, path in (("GET", "/livez"), ("POST", "/v1/events"), ("OPTIONS", "/v1/events"), ("GET", "/nothing")):
        answer = await world.ask(method, path, origin="https://elsewhere.example")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/docs", 404, "not_found"),
        ("GET", "/v1/events", 405, "method_not_allowed"),
        ("POST", "/v1/events/", 404, "not_found"),
    ],
)
async def test_an_unknown_address_is_a_problem_document(
    method: str, path: str, status: int, code: str, tmp_path: Path
) -> None:
    answer = await World(tmp_path).ask(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_bug_is_a_problem_document_without_its_text(tmp_path: Path) -> None:
    world = World(tmp_path)

    def fail(*_: object) -> None:
        raise RuntimeError("a secret")

    world.kafka.on_written = fail
    answer = await world.ask("POST", "/v1/commands", world.key(), GRANT, content_type=SINGLE)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
