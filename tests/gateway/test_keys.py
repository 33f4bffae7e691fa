"""API keys: made, looked up, kept in a file, read again when it changes; and what each role may do."""

import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from click.testing import CliRunner

from meter.cli.keys import keys_group
from meter.gateway.bodies import SINGLE
from meter.gateway.key_file import KeysUnreadableError, WatchedKeys, changing_keys, keys_path, read_keys
from meter.gateway.keys import KeyRefusedError, KeyRing, KeyRole, make_key
from meter.gateway.rights import ROLES, command_refusal
from schemas.access import Allowed, Context, may
from schemas.access_matrix import MATRIX
from schemas.command_base import Command
from schemas.commands import decode_command
from schemas.environment import SettingsError
from tests.gateway.fakes import NOW_MS, World
from tests.oracle.build import STANDARD, chat, command


def test_a_key_is_found_by_its_whole_text_until_it_ends() -> None:
    now = [NOW_MS / 1000]
    ends = datetime.fromtimestamp(now[0] + 10, UTC)
    token, made = make_key("n", "runtime", "w", ends, NOW_MS)
    other, _ = make_key("n", "runtime", "w", None, NOW_MS)
    ring = KeyRing([made], lambda: now[0])
    assert ring.find(token) == made
    another_end = token[:-1] + ("A" if token[-1] != "A" else "B")
    wrong = (another_end, token[:-1], token + "=", "", other, token.upper(), "ä", "\ud800")
    assert [ring.find(each) for each in wrong] == [None] * len(wrong)
    now[0] += 9.999
    assert ring.find(token) == made
    now[0] += 0.001
    assert ring.find(token) is None


def test_a_key_has_256_random_bits_and_only_its_hash_is_kept() -> None:
    tokens = [make_key("n", "platform_admin", "", None, NOW_MS) for _ in range(50)]
    assert len({token for token, _ in tokens}) == 50
    for token, made in tokens:
        secret = token.split("_", 2)[2]
        assert len(secret) == 43, "32 bytes in base64"
        assert secret not in repr(made)


@pytest.mark.parametrize(
    ("role", "workspace_id", "name"),
    [
        ("platform_admin", "w", "n"),
        ("owner", "", "n"),
        ("runtime", "x" * 513, "n"),
        ("owner", "w", ""),
        ("owner", "w", "a\nb"),
    ],
)
def test_a_key_that_makes_no_sense_is_not_made(role: KeyRole, workspace_id: str, name: str) -> None:
    with pytest.raises(KeyRefusedError):
        make_key(name, role, workspace_id, None, NOW_MS)


async def test_the_file_is_read_again_when_it_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Also when it is gone, which revokes all keys."""
    world = World(tmp_path)
    token = world.key()

    async def status() -> int:
        return (await world.ask("GET", "/v1/entitlements/stream", token)).status_code

    assert await status() == 400, "a key of the platform has to name a workspace"
    with changing_keys(world.key_file) as keys:
        keys.clear()
    assert await status() == 401
    assert (await world.ask("GET", "/readyz")).json()["reasons"] == [
        "there are no API keys: run `python -m meter keys add`"
    ]
    token = world.key()
    assert await status() == 400
    world.key_file.write_bytes(b"{")
    answer = await world.ask("GET", "/v1/entitlements/stream", token)
    assert (answer.status_code, answer.json()["code"]) == (503, "keys_unreadable")
    assert (await world.ask("GET", "/readyz")).json()["detail"] == "the API keys cannot be read; the log says why"
    assert "is no file of API keys" in caplog.text
    world.key_file.unlink()
    assert await status() == 401


def test_the_file_is_its_owners_alone_and_changes_whole(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    with changing_keys(path) as keys:
        keys.append(make_key("n", "owner", "w", None, NOW_MS)[1])
        with pytest.raises(KeysUnreadableError, match="is changing"), changing_keys(path):
            pass
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()

    def fail_halfway() -> None:
        with changing_keys(path) as keys:
            keys.clear()
            raise KeyError

    with pytest.raises(KeyError):
        fail_halfway()
    assert path.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["keys.json", "keys.json.lock"]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"format":2,"keys":[]}', b'{"keys":[{"name":"n"}]}', b"\xff"])
def test_a_file_of_something_else_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(content)
    with pytest.raises(KeysUnreadableError, match="is no file of API keys"):
        read_keys(path)
    watched = WatchedKeys(path)
    assert watched.ring().find("x") is None
    assert not watched.is_readable


def test_a_setting_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="METER_API_KEYS_FILE is not set"):
        keys_path("")
    with pytest.raises(SettingsError, match="it is a directory"):
        keys_path(str(tmp_path))


@pytest.mark.parametrize("authorization", ["", "Basic eDp5", "Bearer", "Bearer ", "Bearer x", "Token x"])
async def test_without_a_key_that_is_known_the_answer_is_a_challenge(authorization: str, tmp_path: Path) -> None:
    world = World(tmp_path)
    world.key()
    headers = {"authorization": authorization} if authorization else {}
    answer = await world.ask("POST", "/v1/events", content=chat(0), content_type=SINGLE, **headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith('Bearer realm="meter"')
    assert ("invalid_token" in answer.headers["www-authenticate"]) == bool(authorization)


async def test_a_key_is_never_logged_and_never_in_an_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    world = World(tmp_path)
    token, wrong = world.key(), "meter_0123456789ab_" + "s" * 43
    answers = [await world.ask("POST", "/v1/events", each, chat(0), content_type=SINGLE) for each in (token, wrong)]
    assert [answer.status_code for answer in answers] == [202, 401]
    texts = [caplog.text, *(answer.text + str(answer.headers) for answer in answers)]
    assert not [each for each in texts if token in each or wrong in each or "s" * 43 in each]


COMMANDS = {
    "billing.workspace.created": STANDARD,
    "billing.bot.created": command("bot.created", bot_id="b"),
    "billing.grant.assigned": command("grant.assigned", grant_id="g", amount_micros=5),
    "billing.credits.purchased": command("credits.purchased", order_id="o", amount_micros=5, method="card"),
    "billing.plan.changed": command("plan.changed", plan="standard"),
    "billing.order.placed": command("order.placed", order_id="o", amount_micros=100_000_000, method="card"),
    "billing.order.cancelled": command("order.cancelled", order_id="o"),
    "billing.order.refunded": command("order.refunded", order_id="o", refund_id="r", amount_micros=5),
    "billing.payment.settled": command("payment.settled", order_id="o", payment_id="p", amount_micros=100_000_000),
    "billing.payment.failed": command("payment.failed", order_id="o", payment_id="p", reason="declined"),
    "billing.payment.action_required": command("payment.action_required", order_id="o", payment_id="p"),
    "billing.method.saved": command("method.saved", method_id="m", kind="card"),
    "billing.method.removed": command("method.removed", method_id="m"),
    "billing.auto_reload.set": command(
        "auto_reload.set", enabled=True, reload_micros=100_000_000, threshold_micros=0, method_id="m"
    ),
}


@pytest.mark.parametrize("role", get_args(KeyRole))
@pytest.mark.parametrize("kind", COMMANDS)
def test_a_key_may_give_what_its_role_may_on_the_strictest_plan(role: KeyRole, kind: str) -> None:
    """A second reading of the matrix. A runtime may give none, and only a platform administrator changes plans."""
    _, key = make_key("n", role, "" if role == "platform_admin" else "w", None, NOW_MS)
    context = Context(on_bot=False, workspace_plan="standard", named_role="owner", owners=2)
    expected = role != "runtime" and isinstance(may(ROLES[role], kind, context), Allowed)
    assert (command_refusal(key, decode_command(COMMANDS[kind])) is None) == expected
    if role == "platform_admin":
        assert expected
    if role == "runtime":
        assert not expected


def test_a_bot_with_a_plan_of_its_own_needs_a_platform_administrator() -> None:
    """The gateway does not know whether the workspace is on Enterprise, where its owner may give one."""
    value = decode_command(command("bot.created", bot_id="b", plan="standard"))
    keys = [make_key("n", role, "w" * (role != "platform_admin"), None, NOW_MS)[1] for role in get_args(KeyRole)]
    assert [key.role for key in keys if command_refusal(key, value) is None] == ["platform_admin"]


class MemberData(msgspec.Struct, frozen=True, kw_only=True):
    """The data of a command about a member."""

    workspace_id: str
    user_id: str


class MemberRemoved(Command, frozen=True, tag="billing.member.removed"):
    """A command that the matrix has, and that names a person."""

    data: MemberData


@pytest.mark.parametrize(("role", "is_allowed"), [("owner", True), ("admin", False), ("runtime", False)])
def test_a_person_that_a_command_names_may_be_an_owner_and_need_not_be_the_last(
    role: KeyRole, is_allowed: bool
) -> None:
    """Who the person is, the gateway does not know. An administrator may not touch owners."""
    _, key = make_key("n", role, "w", None, NOW_MS)
    at = datetime.fromtimestamp(NOW_MS / 1000, UTC)
    data = MemberData(workspace_id="w", user_id="u")
    removal: Any = MemberRemoved(specversion="1.0", id="i", source="/t", time=at, data=data)
    assert (command_refusal(key, removal) is None) == is_allowed


def test_each_type_of_command_is_in_the_matrix() -> None:
    assert set(decode_command.structs) <= set(MATRIX)


def test_keys_are_made_listed_and_revoked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.json"
    monkeypatch.setenv("METER_API_KEYS_FILE", str(path))
    run = CliRunner()
    added = run.invoke(keys_group, ["add", "--name", "acme bots", "--role", "runtime", "--workspace", "acme"])
    assert (added.exit_code, "shown only now" in added.stderr) == (0, True)
    (key,) = read_keys(path)
    assert KeyRing([key]).find(added.stdout.strip()) == key
    assert added.stdout.strip() not in path.read_text()
    ends = ["--expires", "2099-01-31T00:00:00+01:00"]
    assert run.invoke(keys_group, ["add", "--name", "console", "--role", "platform_admin", *ends]).exit_code == 0
    lines = run.invoke(keys_group, ["list"]).stdout.splitlines()
    assert ["acme" in lines[0], "never ends" in lines[0], "acme bots" in lines[0]] == [True] * 3
    assert ["(all)" in lines[1], "ends 2099-01-30T23:00:00.000Z" in lines[1]] == [True] * 2
    assert run.invoke(keys_group, ["revoke", key.key_id]).stdout == "revoked acme bots\n"
    assert run.invoke(keys_group, ["revoke", key.key_id]).exit_code == 1
    assert [each.name for each in read_keys(path)] == ["console"]
    assert json.loads(path.read_bytes())["format"] == 1


@pytest.mark.parametrize(
    "options",
    [
        ["--role", "owner"],
        ["--role", "platform_admin", "--workspace", "w"],
        ["--role", "king"],
        ["--role", "owner", "--workspace", "w", "--expires", "tomorrow"],
        ["--role", "owner", "--workspace", "w", "--expires", "2020-01-01T00:00:00Z"],
        ["--role", "owner", "--workspace", "w", "--expires", "2099-01-01T00:00:00"],
    ],
)
def test_a_key_with_wrong_options_is_a_usage_error(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METER_API_KEYS_FILE", str(tmp_path / "keys.json"))
    assert CliRunner().invoke(keys_group, ["add", "--name", "n", *options]).exit_code == 2
    assert read_keys(tmp_path / "keys.json") == []
