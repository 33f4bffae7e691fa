"""Commands over HTTP and their outcomes: `Prefer: wait`, the address of an outcome, and what is remembered."""

import asyncio
from pathlib import Path

import pytest

from meter.gateway.bodies import BATCH, SINGLE
from meter.gateway.command_routes import MAX_WAIT_S, location, wait_s
from meter.gateway.outcomes import CommandKey, Outcomes
from schemas.formats import NewerFormatError
from schemas.outcomes import CommandOutcome, OutcomeRecord, encode_outcome
from schemas.versions import version_of
from tests.gateway.fakes import World, changed
from tests.oracle.build import STANDARD, command

GRANT = command("grant.assigned", id="g/1 ä", grant_id="g", amount_micros=5)
KEY = CommandKey("w", "/t", "c")


def outcome(version: int, word: CommandOutcome = "done", *, id: str = "c", code: str = "") -> bytes:
    return encode_outcome(
        OutcomeRecord(workspace_id="w", source="/t", id=id, outcome=word, code=code, reason=code, version=version)
    )


async def test_a_command_that_waits_gets_its_outcome(tmp_path: Path) -> None:
    """Done, then repeated, then a conflict; its address tells that it took effect, also after the conflict."""
    world = World(tmp_path)
    world.charge_at_once()
    token = world.key()
    first = await world.ask("POST", "/v1/commands", token, GRANT, content_type=SINGLE, prefer="wait=5")
    assert (first.status_code, first.headers["preference-applied"]) == (201, "wait=5")
    assert first.json() == {
        "workspace_id": "w",
        "source": "/t",
        "id": "g/1 ä",
        "outcome": "done",
        "code": "",
        "reason": "",
        "version": 0,
    }
    again = await world.ask("POST", "/v1/commands", token, GRANT, content_type=SINGLE, prefer="wait=5")
    assert (again.status_code, again.json()["outcome"], again.json()["version"]) == (200, "repeated", 1)
    other = changed(GRANT, data_amount_micros=6)
    conflict = await world.ask("POST", "/v1/commands", token, other, content_type=SINGLE, prefer="wait=5")
    assert (conflict.status_code, conflict.json()["code"], conflict.json()["field"]) == (409, "conflict", "id")
    assert conflict.headers["location"] == first.headers["location"]
    found = await world.ask("GET", first.headers["location"], token)
    assert (found.status_code, found.json()) == (200, first.json())


async def test_a_command_that_the_wallet_refuses_is_a_problem(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.charge_at_once()
    value = command("plan.changed", id="p", plan="enterprise")
    answer = await world.ask("POST", "/v1/commands", world.key(), value, content_type=SINGLE, prefer="wait=5")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert answer.json()["field"] == "data.session_price_micros"


@pytest.mark.parametrize("prefer", ["", "wait=0", "respond-async"])
async def test_a_command_that_does_not_wait_has_an_address(prefer: str, tmp_path: Path) -> None:
    world = World(tmp_path)
    answer = await world.ask("POST", "/v1/commands", world.key(), GRANT, content_type=SINGLE, prefer=prefer)
    assert answer.status_code == 202
    assert answer.headers["location"] == "/v1/commands/g%2F1%20%C3%A4?source=%2Ft&workspace_id=w"


async def test_an_outcome_that_does_not_come_in_time_has_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No wallet answers. The longest wait is set to 0.01 s."""
    monkeypatch.setattr("meter.gateway.command_routes.MAX_WAIT_S", 0.01)
    world = World(tmp_path)
    answer = await world.ask("POST", "/v1/commands", world.key(), GRANT, content_type=SINGLE, prefer="wait=9")
    assert answer.status_code == 202
    assert answer.headers["location"]


async def test_a_body_is_not_held_while_its_command_waits(tmp_path: Path) -> None:
    """Else a few clients that wait would keep all others out."""
    world, written = World(tmp_path), asyncio.Event()
    world.kafka.on_written = lambda _record, _offset: written.set()
    asking = asyncio.create_task(
        world.ask("POST", "/v1/commands", world.key(), GRANT, content_type=SINGLE, prefer="wait=30")
    )
    await written.wait()
    await asyncio.sleep(0)
    assert world.parts.held.held_bytes == 0
    world.parts.outcomes.add(outcome(0, id="g/1 ä"), "outcomes/0")
    assert (await asking).status_code == 201


async def test_a_batch_does_not_wait(tmp_path: Path) -> None:
    world = World(tmp_path)
    content = b"[%b,%b]" % (STANDARD, GRANT)
    answer = await world.ask("POST", "/v1/commands", world.key(), content, content_type=BATCH, prefer="wait=30")
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2, "refused": []})


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ([], 0),
        (["wait=7"], 7),
        (["respond-async, WAIT = 7"], 7),
        (["return=minimal", 'wait="3"'], 3),
        (["wait=99999"], MAX_WAIT_S),
        (["wait=-1"], 0),
        (["wait=1.5"], 0),
        (["waiting=5"], 0),
        (["wait=" + "9" * 5_000], 0),
    ],
)
def test_how_long_a_client_waits(given: list[str], seconds: int) -> None:
    assert wait_s(given) == seconds


@pytest.mark.parametrize(
    ("role", "query", "status", "code"),
    [
        ("platform_admin", "?source=/t&workspace_id=w", 200, None),
        ("platform_admin", "?source=/t", 400, "missing_field"),
        ("platform_admin", "?workspace_id=w", 400, "missing_field"),
        ("platform_admin", "?source=/t&workspace_id=x", 404, "no_outcome"),
        ("owner", "?source=/t", 200, None),
        ("owner", "?source=/t&workspace_id=x", 403, "other_workspace"),
        ("runtime", "?source=/t", 403, "not_allowed"),
    ],
)
async def test_who_may_read_an_outcome(role: str, query: str, status: int, code: str | None, tmp_path: Path) -> None:
    world = World(tmp_path)
    world.parts.outcomes.add(outcome(0), "outcomes/0")
    token = world.key(role, "" if role == "platform_admin" else "w")  # type: ignore[arg-type] # It is a role.
    answer = await world.ask("GET", f"/v1/commands/c{query}", token)
    assert (answer.status_code, answer.json()["code"] or None) == (status, code)


@pytest.mark.parametrize(
    ("came", "remembered"),
    [
        (["done"], 0),
        (["done", "repeated"], 0),
        (["done", "refused"], 0),
        (["refused", "done"], 1),
        (["refused", "refused"], 1),
        (["repeated", "refused"], 0),
        (["refused", "done", "repeated", "refused"], 1),
    ],
)
def test_the_outcome_that_took_effect_is_remembered(came: list[CommandOutcome], remembered: int) -> None:
    outcomes = Outcomes()
    for version, word in enumerate(came):
        outcomes.add(outcome(version, word), "outcomes/0")
    found = outcomes.get(KEY)
    assert found is not None
    assert found.version == remembered


async def test_a_request_gets_the_outcome_of_its_own_record() -> None:
    """Others of the same command may come before it, and also before the request knows its offset."""
    outcomes = Outcomes()
    with outcomes.expecting(KEY) as first, outcomes.expecting(KEY) as second:
        outcomes.add(outcome(version_of(2, 7)), "outcomes/0")
        outcomes.add(outcome(version_of(2, 9), "repeated"), "outcomes/0")
        outcomes.add(outcome(version_of(2, 8), id="another"), "outcomes/0")
        found = [await second.at(9, 5), await first.at(7, 5), await first.at(8, 0)]
    assert [each and each.outcome for each in found] == ["repeated", "done", None]
    assert outcomes._waiting == {}


async def test_a_stop_ends_the_waiting() -> None:
    """Also of a request that has only begun. The outcome that has come is still given."""
    outcomes = Outcomes()
    with outcomes.expecting(KEY) as first, outcomes.expecting(KEY) as second:
        outcomes.add(outcome(7), "outcomes/0")
        waiting = asyncio.create_task(first.at(8, 3_600))
        await asyncio.sleep(0)
        outcomes.close()
        assert await waiting is None
        found = await second.at(7, 3_600)
        assert found is not None
    with outcomes.expecting(KEY) as third:
        assert await third.at(9, 3_600) is None


def test_remembered_outcomes_are_bounded_by_bytes() -> None:
    """The oldest are forgotten first; one that comes again is young again."""
    outcomes = Outcomes(most_bytes=10_000)
    for number in range(100):
        outcomes.add(outcome(number, id=f"c-{number}"), "outcomes/0")
        outcomes.add(outcome(number, id="often"), "outcomes/0")
        assert outcomes._bytes <= 10_000
    known = [number for number in range(100) if outcomes.get(CommandKey("w", "/t", f"c-{number}"))]
    assert known == list(range(100 - len(known), 100))
    assert len(known) > 20
    assert outcomes.get(CommandKey("w", "/t", "often")) is not None


def test_an_outcome_that_cannot_be_read_is_passed_over_and_a_newer_one_is_refused() -> None:
    outcomes = Outcomes()
    for value in (None, b"", b"{", b"[]", b"\xff"):
        outcomes.add(value, "outcomes/0")
    with pytest.raises(NewerFormatError):
        outcomes.add(b'{"format":99}', "outcomes/0, offset 7")


def test_an_address_of_an_outcome_quotes_all_that_addresses_mean() -> None:
    key = CommandKey("w&x", "/s?y#", "a/b?c#d%")
    assert location(key) == "/v1/commands/a%2Fb%3Fc%23d%25?source=%2Fs%3Fy%23&workspace_id=w%26x"
