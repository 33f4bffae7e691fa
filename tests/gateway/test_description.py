"""The OpenAPI document, health and metrics: what the gateway says about itself."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from prometheus_client import REGISTRY, generate_latest

from meter.gateway.intake import COMMANDS, OUTSIDE_EVENTS
from meter.gateway.openapi import description
from tests.gateway.fakes import World
from tests.oracle.build import STANDARD, chat, command

DOCUMENT = description()


def references(found: Any) -> list[str]:
    if isinstance(found, dict):
        own = [found["$ref"]] if "$ref" in found else []
        return own + [each for value in found.values() for each in references(value)]
    return [each for value in found for each in references(value)] if isinstance(found, list) else []


async def test_the_document_is_served_without_a_key(tmp_path: Path) -> None:
    answer = await World(tmp_path).ask("GET", "/openapi.json")
    assert (answer.status_code, answer.json()) == (200, DOCUMENT)
    assert "http" not in re.sub(r'"scheme": ?"bearer"|"type": ?"http"', "", answer.text), "nothing is loaded elsewhere"


def test_the_document_lists_each_type_of_event_and_command() -> None:
    for path, form in (("/v1/events", OUTSIDE_EVENTS), ("/v1/commands", COMMANDS)):
        body = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/cloudevents+json"]["schema"]
        assert set(body["discriminator"]["mapping"]) == set(form.structs)
        assert {each["$ref"] for each in body["oneOf"]} == set(body["discriminator"]["mapping"].values())


def test_each_reference_leads_to_a_schema_that_is_one() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert {each.removeprefix("#/components/schemas/") for each in references(DOCUMENT)} <= set(schemas)
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Message", chat(0)),
        ("WorkspaceCreated", STANDARD),
        ("GrantAssigned", command("grant.assigned", grant_id="g", amount_micros=5)),
    ],
)
def test_an_event_that_is_accepted_fits_its_schema(name: str, value: bytes) -> None:
    whole = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    validator = jsonschema.Draft202012Validator(whole)
    validator.validate(json.loads(value))
    assert not validator.is_valid(json.loads(value) | {"id": ""})


async def test_each_route_of_the_document_is_there(tmp_path: Path) -> None:
    """Without a key it asks for one; a route that is not there would answer 404."""
    world = World(tmp_path)
    for path, methods in DOCUMENT["paths"].items():
        for method in methods:
            answer = await world.ask(method.upper(), re.sub(r"\{\w+\}", "x", path))
            assert answer.status_code == 401, path


async def test_health_says_why_not(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.key()
    assert [(await world.ask("GET", path)).status_code for path in ("/livez", "/readyz")] == [200, 200]
    world.kafka.is_known_up = False
    world.parts.is_caught_up.clear()
    world.parts.is_stopping = True
    answer = await world.ask("GET", "/readyz")
    assert (answer.status_code, answer.json()["reasons"]) == (
        503,
        ["the gateway is stopping", "Kafka has not answered for 15 s", "the entitlements are not read yet"],
    )
    assert (await world.ask("GET", "/livez")).status_code == 200


def test_each_metric_has_each_of_its_labels_from_the_beginning() -> None:
    """An alert needs the value 0 before the first failure."""
    page = generate_latest(REGISTRY).decode()
    for line in (
        'meter_gateway_requests_total{route="stream",status="5xx"}',
        'meter_gateway_requests_total{route="other",status="4xx"}',
        'meter_gateway_records_total{kind="command",outcome="refused"}',
        'meter_gateway_refused_total{code="other_workspace"}',
        'meter_gateway_refused_total{code="not_json"}',
        'meter_gateway_unreadable_total{topic="entitlements"}',
        'meter_gateway_request_seconds_count{route="events"}',
        "meter_gateway_slow_clients_total",
        "meter_gateway_outcome_bytes",
    ):
        assert f"\n{line} " in page, line


async def test_requests_are_counted_by_route_and_status(tmp_path: Path) -> None:
    world = World(tmp_path)

    def counted(route: str, status: str) -> float:
        labels = {"route": route, "status": status}
        return REGISTRY.get_sample_value("meter_gateway_requests_total", labels) or 0

    before = [counted("livez", "2xx"), counted("other", "4xx"), counted("events", "4xx")]
    for method, path in (("GET", "/livez"), ("GET", "/" + "x" * 500), ("POST", "/v1/events")):
        await world.ask(method, path)
    after = [counted("livez", "2xx"), counted("other", "4xx"), counted("events", "4xx")]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 1]
