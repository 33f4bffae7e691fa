"""The description of the gateway for programs: OpenAPI 3.1, with the schema of each event and command.

The schemas are made from the structs that the product reads by, so they cannot differ.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from meter.gateway.bodies import BATCH, MAX_BATCH, MAX_BODY_BYTES, NDJSON, SINGLE
from meter.gateway.command_routes import MAX_WAIT_S
from meter.gateway.intake import COMMANDS, OUTSIDE_EVENTS
from meter.gateway.problems import MEDIA_TYPE
from schemas.entitlements import EntitlementRecord
from schemas.forms import Form
from schemas.outcomes import OutcomeRecord

_REF: Final = "#/components/schemas/"

_LIMITS: Final = f"At most {MAX_BODY_BYTES} bytes and {MAX_BATCH} events."

_SUMMARY: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["accepted", "refused"],
    "properties": {
        "accepted": {"type": "integer", "description": "How many events Kafka has acknowledged."},
        "refused": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "code", "field", "reason"],
                "properties": {
                    "index": {"type": "integer", "description": "The event's number in the body, from 0."},
                    "code": {"type": "string"},
                    "field": {"type": "string"},
                    "reason": {"type": "string"},
                },
            },
        },
    },
}
_PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "description": "A problem document (RFC 9457).",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "field": {"type": "string", "description": "The field that is wrong, if one is."},
    },
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"{_REF}{name}"}


def _body(form: Form[Any]) -> dict[str, Any]:
    """The body of a request: one event of a form, an array of them, or one a line."""
    names = {tag: struct.__name__ for tag, struct in form.structs.items()}
    event = {
        "oneOf": [_ref(name) for name in names.values()],
        "discriminator": {"propertyName": "type", "mapping": {tag: _REF + name for tag, name in names.items()}},
    }
    batch = {"type": "array", "items": event, "minItems": 1, "maxItems": MAX_BATCH}
    lines = {"type": "string", "description": "One event a line."}
    content = {SINGLE: event, BATCH: batch, NDJSON: lines}
    return {"required": True, "content": {kind: {"schema": schema} for kind, schema in content.items()}}


def _answers(good: Mapping[int, tuple[str, Any]], *bad: int) -> dict[str, Any]:
    """The answers of a route by status: a sentence and a schema, or None for no body; and problem documents."""
    answers: dict[str, Any] = {}
    for status, (says, schema) in good.items():
        answers[str(status)] = {"description": says}
        if schema is not None:
            answers[str(status)]["content"] = {"application/json": {"schema": schema}}
    problem = {"description": "A problem.", "content": {MEDIA_TYPE: {"schema": _ref("Problem")}}}
    return answers | {str(status): problem for status in (401, 403, 429, 503, *bad)}


def _parameter(name: str, where: str, says: str, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": where, "required": required, "description": says, "schema": {"type": "string"}}


def _writing() -> dict[str, Any]:
    """The routes that write."""
    outcome, refused = _ref("OutcomeRecord"), (400, 408, 413, 415, 422)
    wait = f"wait=N: answer with the outcome, if it comes within N seconds (at most {MAX_WAIT_S}); not for batches."
    return {
        "/v1/events": {
            "post": {
                "operationId": "postEvents",
                "summary": f"Write chat events. A repeat of (workspace, source, id) changes nothing. {_LIMITS}",
                "requestBody": _body(OUTSIDE_EVENTS),
                "responses": _answers({202: ("Acknowledged by Kafka.", _ref("Summary"))}, *refused),
            }
        },
        "/v1/commands": {
            "post": {
                "operationId": "postCommands",
                "summary": f"Give account commands. A repeat of (workspace, source, id) changes nothing. {_LIMITS}",
                "parameters": [_parameter("Prefer", "header", wait)],
                "requestBody": _body(COMMANDS),
                "responses": _answers(
                    {
                        200: ("The command took effect before.", outcome),
                        201: ("The command took effect.", outcome),
                        202: ("Acknowledged by Kafka; `Location` has the outcome later.", {"type": "object"}),
                    },
                    409,
                    *refused,
                ),
            }
        },
    }


def _reading() -> dict[str, Any]:
    """The routes that read."""
    workspace = _parameter("workspace_id", "query", "Not needed with a key for one workspace.")
    stream: dict[str, Any] = _answers({200: ("Events `entitlement`, after the first ones one `snapshot`.", None)}, 400)
    stream["200"]["content"] = {"text/event-stream": {"schema": {"type": "string"}}}
    return {
        "/v1/commands/{id}": {
            "get": {
                "operationId": "getCommand",
                "summary": "The outcome of a command, as long as the gateway remembers it.",
                "parameters": [
                    _parameter("id", "path", "The command's id, quoted.", required=True),
                    _parameter("source", "query", "The command's source.", required=True),
                    workspace,
                ],
                "responses": _answers({200: ("The outcome.", _ref("OutcomeRecord"))}, 400, 404),
            }
        },
        "/v1/entitlements/{workspace_id}/{bot_id}": {
            "get": {
                "operationId": "getEntitlement",
                "summary": "What a bot may do now.",
                "parameters": [
                    _parameter("workspace_id", "path", "Quoted.", required=True),
                    _parameter("bot_id", "path", "Quoted.", required=True),
                    _parameter("If-None-Match", "header", "The ETag of the answer that the client has."),
                ],
                "responses": _answers(
                    {200: ("The newest record.", _ref("EntitlementRecord")), 304: ("Nothing is newer.", None)}, 404
                ),
            }
        },
        "/v1/entitlements/stream": {
            "get": {
                "operationId": "streamEntitlements",
                "summary": "What the bots of a workspace may do: first as it stands, then each change.",
                "parameters": [
                    workspace,
                    _parameter("Last-Event-ID", "header", "Resume: older records are left out."),
                ],
                "responses": stream,
            }
        },
    }


def description() -> dict[str, Any]:
    """Return the OpenAPI document."""
    structs = [*OUTSIDE_EVENTS.structs.values(), *COMMANDS.structs.values(), EntitlementRecord, OutcomeRecord]
    _, components = msgspec.json.schema_components(structs, ref_template=_REF + "{name}")
    return {
        "openapi": "3.1.0",
        "info": {"title": "Conversation Meter: gateway", "version": "1"},
        "security": [{"key": []}],
        "paths": _writing() | _reading(),
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}},
            "schemas": components | {"Summary": _SUMMARY, "Problem": _PROBLEM},
        },
    }


DOCUMENT: Final = msgspec.json.encode(description())
"""The document as it is served."""
