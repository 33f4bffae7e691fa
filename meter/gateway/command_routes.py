"""`POST /v1/commands` and `GET /v1/commands/{id}`: account commands to wallet-inputs, and their outcomes."""

import re
from contextlib import ExitStack
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from meter.gateway.bodies import read_body
from meter.gateway.intake import (
    COMMANDS,
    Item,
    note,
    require_kafka,
    require_some,
    sort_out,
    summary,
    unacknowledged,
    write_all,
)
from meter.gateway.metrics import RECORDS
from meter.gateway.outcomes import CommandKey
from meter.gateway.parts import json_response, key_of, parts_of
from meter.gateway.ports import KafkaAwayError, Writer
from meter.gateway.problems import ProblemError, refusal
from meter.gateway.rights import command_refusal, read_refusal
from schemas.commands import AnyCommand
from schemas.outcomes import OutcomeRecord
from schemas.refusals import Refused
from schemas.topics import WALLET_INPUTS

MAX_WAIT_S: Final = 30
"""The longest that a request waits for the outcome of its command."""

_WAIT: Final = re.compile(r"wait\s*=\s*\"?([0-9]{1,9})\"?")


async def post_commands(request: Request) -> Response:
    """Write account commands. A single one with `Prefer: wait=N` is answered with its outcome, if that comes in time.

    A batch never waits: RFC 7240 lets a server leave a preference out.
    """
    parts, key = parts_of(request), key_of(request)
    with ExitStack() as stack:
        with parts.held.holding() as hold:
            body = await read_body(request, hold, parts.body_s)
            found = sort_out(body, COMMANDS, lambda command: command_refusal(key, command))
            note("command", found)
            require_some(found, is_batch=body.is_batch)
            if body.is_batch:
                await write_all(parts.writer, WALLET_INPUTS, "command", found.accepted)
                return json_response(summary(found), 202)
            (item,) = found.accepted
            command = CommandKey(item.event.data.workspace_id, item.event.source, item.event.id)
            expected = stack.enter_context(parts.outcomes.expecting(command))
            offset = await _write_one(parts.writer, item)
        # The body is not held any more while the request waits.
        seconds = wait_s(request.headers.getlist("prefer"))
        outcome = await expected.at(offset, seconds) if seconds else None
    return _answer(command, outcome, seconds)


def wait_s(preferences: list[str]) -> int:
    """Return for how many seconds the client wants to wait, from its `Prefer` headers; 0 if it does not."""
    for preference in ",".join(preferences).split(","):
        found = _WAIT.fullmatch(preference.strip().lower())
        if found:
            return min(int(found[1]), MAX_WAIT_S)
    return 0


async def _write_one(writer: Writer, item: Item[AnyCommand]) -> int:
    require_kafka(writer)
    try:
        offset = await writer.write_one(WALLET_INPUTS, item.record)
    except KafkaAwayError as error:
        raise unacknowledged() from error
    RECORDS.labels("command", "accepted").inc()
    return offset


def _answer(key: CommandKey, outcome: OutcomeRecord | None, seconds: int) -> Response:
    """The answer to a command that is written: its outcome, or where to find it later."""
    headers = {"Location": location(key)} | ({"Preference-Applied": f"wait={seconds}"} if seconds else {})
    if outcome is None:
        return json_response({"workspace_id": key.workspace_id, "source": key.source, "id": key.id}, 202, headers)
    if outcome.outcome != "refused":
        return json_response(described(outcome), 201 if outcome.outcome == "done" else 200, headers)
    problem = refusal(Refused(outcome.code, outcome.reason))  # type: ignore[arg-type] # The code is the wallet's.
    problem.headers |= headers
    raise problem


def location(key: CommandKey) -> str:
    """Return the address at which the outcome of a command can be read."""
    query = urlencode({"source": key.source, "workspace_id": key.workspace_id}, quote_via=quote)
    return f"/v1/commands/{quote(key.id, safe='')}?{query}"


def described(outcome: OutcomeRecord) -> dict[str, Any]:
    """Return an outcome as the members of a JSON document."""
    document: dict[str, Any] = msgspec.to_builtins(outcome)
    del document["format"]
    return document


async def get_command(request: Request) -> Response:
    """Return the outcome of a command, as long as the gateway remembers it."""
    parts, key = parts_of(request), key_of(request)
    source = request.query_params.get("source", "")
    workspace_id = request.query_params.get("workspace_id", key.workspace_id)
    for name, value in (("source", source), ("workspace_id", workspace_id)):
        if not value:
            raise ProblemError(400, "missing_field", f"{name}: add ?{name}=... to the address", field=name)
    refused = read_refusal(key, workspace_id, "view.commands", on_bot=False)
    if refused is not None:
        raise refused
    outcome = parts.outcomes.get(CommandKey(workspace_id, source, request.path_params["id"]))
    if outcome is None:
        raise ProblemError(
            404,
            "no_outcome",
            "no outcome of this command is known here: it is not processed yet, was never sent, or was forgotten; "
            "send it again to learn it: a command that took effect changes nothing then",
        )
    return json_response(described(outcome))
