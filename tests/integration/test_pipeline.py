"""The whole pipeline as real processes on each broker: exact for any feed and after any kill."""

import asyncio
import csv
import json
import time
from collections.abc import Iterable
from operator import add
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from schemas.topics import CHAT_EVENTS, MAX_RECORD_BYTES, WALLET_INPUTS
from tests.brokers import KAFKA, Broker
from tests.feeds.disorder import disordered
from tests.feeds.generator import generate
from tests.feeds.lines import chat_data, envelope, line, millis
from tests.integration.differences import named_field
from tests.integration.outcome import (
    assert_charged,
    assert_exact,
    assert_ledger_sound,
    assert_metered,
    assert_money_conserved,
    oracle,
)
from tests.integration.processes import ROOT, Deployment, command, deployed
from tests.integration.views import Row, outcome_of
from tests.sessionizer_engines import needs_kernel

pytestmark = pytest.mark.integration

SEED = 11
START_MS = millis(2026, 8, 29)
"""Shortly before a month ends, so that the feed belongs to two."""

MOMENT_S = {"meter": 0.3, "aggregator": 1.0}
"""How long a worker works, at most, before it is killed: long enough to have begun, too short to be through."""

REAL = ROOT.parent / "shared" / "data"


def test_workers_side_by_side_meter_a_feed_exactly(broker: Broker, tmp_path: Path) -> None:
    """Three workers need no configuration to share the work, and serve metrics each on a port of its own.

    Of a feed in order, every lot pays what the oracle says. While no worker runs, nothing is drained.
    """
    lines = generate(SEED, 4_000, start_ms=START_MS)
    with deployed(broker, tmp_path) as deployment:
        deployment.produce(lines)
        early = command("meter", "drained", "--timeout", "2", env=deployment.env)
        assert early.returncode == 1
        assert "not drained after 2 s" in early.stderr.splitlines()[-1]
        workers = [deployment.start("meter") for _ in range(3)]
        deployment.start("aggregator").ready()
        assert len({worker.ready() for worker in workers}) == 3
        assert all("# TYPE meter_events_total counter" in worker.metrics() for worker in workers)
        deployment.drain()
    outcome = assert_exact(tmp_path, lines, in_order=True)
    assert len({row["month"] for row in outcome.monthly}) == 2


@pytest.mark.parametrize("spills", [False, pytest.param(True, marks=needs_kernel)], ids=["in memory", "on disk"])
def test_disordered_feed_is_metered_exactly_whatever_is_killed(broker: Broker, tmp_path: Path, spills: bool) -> None:
    """Kill -9 of any worker at any moment, again and again, changes nothing (DOMAIN, Metering 5).

    On Kafka two meter workers share the partitions. State that may lie on disk lies there, or none does.
    """
    seed = SystemRandom().randrange(10**6)
    print(f"the moments of death follow from seed {seed}")
    lines = disordered(generate(SEED, 40_000, start_ms=START_MS), SEED)
    spilling = {"METER_SPILL_DIR": str(tmp_path / "spilled"), "METER_SPILL_ABOVE_MB": "0"} if spills else {}
    with deployed(broker, tmp_path, METER_CHECKPOINT_MS="200", AGGREGATOR_FLUSH_MS="50", **spilling) as deployment:
        deployment.produce(lines)
        programs = ["aggregator", "meter"] + (["meter"] if broker.name == KAFKA else [])
        for program in programs:
            deployment.start(program)
        kill_at_random(deployment, Random(seed))
        deployment.drain()
    assert_exact(tmp_path, lines, in_order=False)


def kill_at_random(deployment: Deployment, rng: Random) -> None:
    """Four times kill the aggregator and a meter worker, each a moment after it began to work, and start others."""
    for _ in range(4):
        for worker in deployment.workers:
            worker.ready()
        for program in rng.sample(("aggregator", "meter"), 2):
            victim = next(worker for worker in deployment.workers if worker.program == program)
            time.sleep(rng.uniform(0, MOMENT_S[program]))
            deployment.restart(victim)


def test_records_that_no_feed_can_hold_are_dead_letters(broker: Broker, tmp_path: Path) -> None:
    """Each is refused whole, saying where it lay, and what follows in its partition is metered."""
    values = {
        "null_value": None,
        "too_large": b'{"padding":"' + b"x" * 10_000_000 + b'"}',
        "invalid_utf8": b'{"id":"\xff\xfe"}',
        "not_json": b"",
    }
    at = millis(2026, 8, 29)
    bought = {"workspace_id": "w", "order_id": "o", "amount_micros": 7_000_000, "method": "card"}
    good = [
        line(envelope("billing.credits.purchased", at, "c-1", "/console", bought)),
        line(envelope("chat.message", at, "m-1", "/runtime", chat_data("w", "b", "web", "u", "user"))),
    ]
    with deployed(broker, tmp_path) as deployment:
        written = asyncio.run(write_raw(broker, b"w", values))
        deployment.produce(good)
        for program in ("meter", "aggregator"):
            deployment.start(program)
        deployment.drain()
    outcome = outcome_of(tmp_path)
    found = [
        (row["source_topic"], row["source_partition"], row["source_offset"], row["code"], row["payload"])
        for row in outcome.dead_letters
    ]
    assert sorted(found) == sorted((*place, code, values[code]) for place, code in written.items())
    assert {(row["key"], named_field(row["reason"])) for row in outcome.dead_letters} == {("w", "value")}
    assert_metered(outcome, oracle(good))
    assert_charged(outcome, oracle(good), by_lot=True)


async def write_raw(broker: Broker, key: bytes, values: dict[str, bytes | None]) -> dict[tuple[str, int, int], str]:
    """Write each value to both topics that strangers write to, where `key` goes; (topic, partition, offset) -> name."""
    written: dict[tuple[str, int, int], str] = {}
    async with AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap,
        enable_idempotence=broker.idempotent,
        max_request_size=MAX_RECORD_BYTES,
    ) as producer:
        for topic in (CHAT_EVENTS.name, WALLET_INPUTS.name):
            for name, value in values.items():
                told = await producer.send_and_wait(topic, value, key=key)
                written[topic, told.partition, told.offset] = name
    return written


@pytest.mark.skipif(
    not (REAL / "irc-train.ndjson.gz").exists(), reason="the real traffic of ../shared/data is not on this machine"
)
def test_real_traffic_comes_to_the_expected_totals(broker: Broker, tmp_path: Path) -> None:
    """Years of real chats: totals, every day and every balance as others computed them."""
    feeds = [REAL / "irc-train.ndjson.gz", REAL / "irc-train.accounts.ndjson"]
    with deployed(broker, tmp_path) as deployment:
        for program in ("meter", "aggregator"):
            deployment.start(program)
        deployment.do("meter", "produce", *(word for feed in feeds for word in ("--feed", str(feed))), "--close")
        deployment.drain()
    outcome = outcome_of(tmp_path)
    assert outcome.dead_letters == []
    expected = json.loads((REAL / "irc-train.expected.json").read_bytes())
    counted = ("conversations", "sessions", "requests")
    assert totals(outcome.daily, counted) == {
        workspace: tuple(wanted[column] for column in counted) for workspace, wanted in expected["workspaces"].items()
    }
    assert len(outcome.conversations) == expected["conversations"]
    days = [[row[column] for column in ("workspace_id", "bot_id", "day", *counted)] for row in outcome.daily]
    assert as_text(days) == expected_rows("irc-train.expected-daily.csv")
    charged = totals(outcome.daily, ("charged_free_micros", "charged_paid_micros"))
    balances = [
        [
            row["workspace_id"],
            row["free_micros"],
            row["paid_micros"],
            row["lapsed_micros"],
            *charged[row["workspace_id"]],
        ]
        for row in outcome.balances
    ]
    assert as_text(balances) == expected_rows("irc-train.expected-balances.csv")
    assert_money_conserved(outcome)
    assert_ledger_sound(outcome)


def totals(rows: Iterable[Row], columns: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """The columns added up, by workspace."""
    sums: dict[str, tuple[int, ...]] = {}
    for row in rows:
        before = sums.get(row["workspace_id"], (0,) * len(columns))
        sums[row["workspace_id"]] = tuple(map(add, before, (row[column] for column in columns)))
    return sums


def as_text(rows: list[list[Any]]) -> list[list[str]]:
    return sorted([str(cell) for cell in row] for row in rows)


def expected_rows(name: str) -> list[list[str]]:
    with (REAL / name).open(newline="") as file:
        return sorted(list(csv.reader(file))[1:])
