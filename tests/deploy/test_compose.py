"""The production shape, checked without a Docker engine: its files agree with the code and each other."""

import ast
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from jsonschema import Draft202012Validator

from schemas.topics import MAX_RECORD_BYTES

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
COMPOSE: Final = ROOT / "docker-compose.yml"
RULES: Final = DEPLOY / "prometheus" / "rules.yml"
PROVISIONING: Final = DEPLOY / "grafana" / "provisioning"
DASHBOARD: Final = DEPLOY / "grafana" / "dashboards" / "meter.json"
METRICS: Final = (
    ROOT / "meter" / "metrics.py",
    ROOT / "meter" / "notify" / "metrics.py",
    ROOT / "aggregator" / "metrics.py",
)

OURS: Final = {"topics", "migrate", "meter", "aggregator", "notify"}
METRIC: Final = re.compile(r"\b(?:meter|aggregator)_[a-z_]+")


def load_yaml(path: Path) -> dict[str, Any]:
    """The one YAML document of a file."""
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict), path
    return loaded


SERVICES: Final[dict[str, dict[str, Any]]] = load_yaml(COMPOSE)["services"]
COMMANDS: Final = {name: SERVICES[name]["command"] for name in sorted(OURS)}


def compose_schema() -> dict[str, Any]:
    """The Compose Specification's schema, from the package check-jsonschema, which ships it."""
    spec = importlib.util.find_spec("check_jsonschema")
    if spec is None or spec.origin is None:
        pytest.skip("the package check-jsonschema, which ships the Compose schema, is not installed")
    path = Path(spec.origin).parent / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


def complaints(document: dict[str, Any]) -> list[str]:
    """What the schema has against a Compose file."""
    schema = compose_schema()
    Draft202012Validator.check_schema(schema)
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(document)]


def dashboard_panels() -> list[dict[str, Any]]:
    """The panels that show something: rows are headings."""
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def dashboard_queries() -> list[str]:
    """Every PromQL expression of the board."""
    return [target["expr"] for panel in dashboard_panels() for target in panel["targets"]]


def rule_queries() -> list[str]:
    """Every PromQL expression of the rules."""
    return [rule["expr"] for group in load_yaml(RULES)["groups"] for rule in group["rules"]]


def exported_names(source: Path) -> set[str]:
    """Metric names in a module's text, without the ending that the client library adds to counters."""
    nodes = ast.walk(ast.parse(source.read_text(encoding="utf-8")))
    texts = (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return {text.removesuffix("_total") for text in texts if METRIC.fullmatch(text)}


def test_compose_file_is_valid() -> None:
    """docker-compose.yml obeys the Compose Specification."""
    assert complaints(load_yaml(COMPOSE)) == []


def test_schema_refuses_a_wrong_compose_file() -> None:
    """The check above can fail: a misspelt key and a wrong type are refused."""
    assert complaints({"services": {"meter": {"image": "x", "comand": ["meter", "worker"]}}})
    assert complaints({"services": {"meter": {"image": "x", "healthcheck": {"retries": []}}}})


def test_mounted_paths_exist() -> None:
    """What a service mounts is in the repository, or is a volume the file declares."""
    declared = load_yaml(COMPOSE)["volumes"]
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source, target, *mode = volume.split(":")
            assert target.startswith("/"), (name, volume)
            if source.startswith("."):
                assert (ROOT / source).is_dir(), (name, source)
                assert mode == ["ro"], (name, volume)
            else:
                assert source in declared, (name, source)


def test_image_builds_from_files_that_exist() -> None:
    """One service builds the image all of ours use: the same tag built side by side fails now and then."""
    builds = {name: service["build"] for name, service in SERVICES.items() if "build" in service}
    assert builds == {"topics": {"context": ".", "dockerfile": "deploy/Dockerfile"}}
    assert (ROOT / "deploy" / "Dockerfile").is_file()
    assert {SERVICES[name]["image"] for name in OURS} == {SERVICES["topics"]["image"]}
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert [path for path in let_in if not (ROOT / path).exists()] == []
    assert {"pyproject.toml", "constraints.txt", "README.md", "LICENSE", "schemas", "meter", "aggregator"} == set(
        let_in
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_exist(name: str) -> None:
    """Each of our containers runs `python -m` with a package and a command of this repository."""
    package, command = COMMANDS[name]
    assert (ROOT / package / "__init__.py").is_file()
    if not (ROOT / package / "__main__.py").is_file():
        pytest.skip(f"{package} has no command line yet")
    run = [sys.executable, "-m", package, command, "--help"]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_dependencies_name_services_and_conditions_they_meet() -> None:
    """A service that others wait for has a health check, or ends by itself."""
    for name, service in SERVICES.items():
        waits = service.get("depends_on", {})
        assert set(waits) <= set(SERVICES), name
        for other, how in waits.items() if isinstance(waits, dict) else ():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], (name, other)
            else:
                assert SERVICES[other]["restart"] == "no", (name, other)


def test_ports_stay_on_this_machine() -> None:
    """Nothing is published beyond 127.0.0.1, and what is scaled publishes nothing."""
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []
    assert [
        name for name in ("meter", "aggregator", "notify") if SERVICES[name].keys() & {"ports", "container_name"}
    ] == []


def test_images_are_pinned() -> None:
    """Every image names its version."""
    images = {service["image"] for service in SERVICES.values()}
    assert [image for image in images if ":" not in image or image.endswith(":latest")] == []


def test_kafka_takes_the_largest_record() -> None:
    """Kafka's limit is above the largest record the product writes, and topics are made by `topics` only."""
    environment = SERVICES["kafka"]["environment"]
    assert int(environment["KAFKA_MESSAGE_MAX_BYTES"]) > MAX_RECORD_BYTES
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_prometheus_scrapes_the_workers_where_they_listen() -> None:
    """Jobs, service names and ports agree between Prometheus and the Compose file."""
    for job in load_yaml(DEPLOY / "prometheus" / "prometheus.yml")["scrape_configs"]:
        (lookup,) = job["dns_sd_configs"]
        assert lookup["names"] == [job["job_name"]]
        environment = SERVICES[job["job_name"]]["environment"]
        assert environment["METRICS_PORT"] == str(lookup["port"])
        assert environment["METRICS_HOST"] == "0.0.0.0"


def test_queries_use_metrics_that_exist() -> None:
    """Every metric that a rule or a panel asks for is one that the code exports."""
    missing = [str(source.relative_to(ROOT)) for source in METRICS if not source.is_file()]
    if missing:
        pytest.skip(f"not written yet: {', '.join(missing)}")
    exported = {name for source in METRICS for name in exported_names(source)}
    for query in rule_queries() + dashboard_queries():
        for name in METRIC.findall(query):
            assert re.sub(r"_(total|bucket|sum|count)$", "", name) in exported, (name, query)


def test_panels_are_complete() -> None:
    """Each panel has a title of its own, a unit, and a query with a legend, and lies beside the others."""
    panels = dashboard_panels()
    assert len({panel["title"] for panel in panels}) == len(panels) >= 12
    for panel in panels:
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        assert all(target["expr"] and target["legendFormat"] for target in panel["targets"]), panel["title"]
    cells = [cell for panel in panels for cell in covered(panel["gridPos"])]
    assert len(cells) == len(set(cells))


def covered(grid: dict[str, int]) -> list[tuple[int, int]]:
    """The cells of Grafana's 24 columns wide grid that a panel covers."""
    assert grid["x"] + grid["w"] <= 24
    columns = range(grid["x"], grid["x"] + grid["w"])
    return [(x, y) for x in columns for y in range(grid["y"], grid["y"] + grid["h"])]


def test_grafana_finds_its_data_and_board() -> None:
    """The board's data source is the provisioned one, at Prometheus' service, and the board is where Grafana looks."""
    (source,) = load_yaml(PROVISIONING / "datasources" / "prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    targets = [target for panel in dashboard_panels() for target in panel["targets"]]
    assert {target["datasource"]["uid"] for target in targets} == {source["uid"]}
    (provider,) = load_yaml(PROVISIONING / "dashboards" / "meter.yml")["providers"]
    mounts = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    assert mounts[f"./{DASHBOARD.parent.relative_to(ROOT)}"] == provider["options"]["path"]
    assert json.loads(DASHBOARD.read_text(encoding="utf-8"))["uid"] == "conversation-meter"
