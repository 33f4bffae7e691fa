"""Alerts, queries and metrics, checked by Prometheus itself where it is installed (Debian's package `prometheus`)."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, get_args
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import pytest
import yaml

import aggregator.metrics
import meter.metrics
from aggregator.core.reconciliation.sums import PAIRS
from meter.local.broker import free_port
from schemas.ledger import LotKind
from schemas.rejection_codes import REJECTION_CODES
from tests.deploy.test_compose import DEPLOY, RULES, dashboard_queries

START_S: Final = 120.0
"""How long Prometheus may take to start and to scrape both programs once."""

NOT_INSTALLED: Final = "is not on PATH; Debian has it in the package prometheus"


def promtool(*arguments: str | Path, given: bytes = b"") -> None:
    """Run Prometheus' own checker, or skip the test where there is none."""
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip(f"promtool {NOT_INSTALLED}")
    done = subprocess.run([tool, *map(str, arguments)], input=given, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


@pytest.fixture(scope="module")
def pages() -> list[str]:
    """The addresses of both programs' /metrics, as they are before anything happened."""
    return [meter.metrics.serve("127.0.0.1", 0), aggregator.metrics.serve("127.0.0.1", 0)]


@contextmanager
def running_prometheus(pages: list[str], directory: Path) -> Iterator[str]:
    """A Prometheus of our own that scrapes `pages` each second and has our alerts; yields its address."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip(f"prometheus {NOT_INSTALLED}")
    jobs = [
        {"job_name": name, "static_configs": [{"targets": [urlsplit(page).netloc]}]}
        for name, page in zip(("meter", "aggregator"), pages, strict=True)
    ]
    config = {"global": {"scrape_interval": "1s"}, "rule_files": [str(RULES)], "scrape_configs": jobs}
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    files = [f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data"]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([program, *files, f"--web.listen-address={address}"], stdout=log, stderr=log)
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(START_S)


def ask(address: str, query: str) -> list[dict[str, Any]]:
    """The samples that Prometheus answers to a query; none while it starts."""
    try:
        answer = json.load(urlopen(f"{address}/api/v1/query?{urlencode({'query': query})}", timeout=START_S))
    except OSError:
        return []
    assert answer["status"] == "success", (query, answer)
    samples: list[dict[str, Any]] = answer["data"]["result"]
    return samples


def test_promtool_accepts_configuration_and_rules() -> None:
    """Prometheus' own checker accepts the configuration and the rules it names."""
    promtool("check", "config", DEPLOY / "prometheus" / "prometheus.yml")


def test_promtool_sees_the_alerts_fire() -> None:
    """Each alert fires on the series it is for (rules_test.yml)."""
    promtool("test", "rules", Path(__file__).with_name("rules_test.yml"))


def test_promtool_accepts_the_queries_of_the_board(tmp_path: Path) -> None:
    """The panels' queries are PromQL: as recording rules they pass the checker."""
    queries = [query.replace("$__rate_interval", "5m") for query in dashboard_queries()]
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries)]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    promtool("check", "rules", path)


def test_promtool_accepts_the_metrics(pages: list[str]) -> None:
    """What both programs export follows Prometheus' rules for names, units and types."""
    for page in pages:
        promtool("check", "metrics", given=urlopen(page).read())


def test_a_real_prometheus_scrapes_both_programs(pages: list[str], tmp_path: Path) -> None:
    """It reaches both, answers every query of the board, and sees each label value at 0 before anything happened."""
    with running_prometheus(pages, tmp_path) as address:
        deadline_s = time.monotonic() + START_S
        while len(ask(address, "up == 1")) < len(pages) and time.monotonic() < deadline_s:
            time.sleep(0.2)
        assert {each["metric"]["job"] for each in ask(address, "up == 1")} == {"meter", "aggregator"}
        for query in dashboard_queries():
            ask(address, query.replace("$__rate_interval", "5m"))
        for metric, label, values in (
            ("meter_dead_letters_total", "code", REJECTION_CODES),
            ("meter_debited_micros_total", "lot_kind", get_args(LotKind)),
            ("aggregator_dead_letters_total", "code", REJECTION_CODES),
            ("aggregator_reconciliation_difference", "pair", PAIRS),
        ):
            assert set(values) <= {each["metric"][label] for each in ask(address, metric)}, metric
