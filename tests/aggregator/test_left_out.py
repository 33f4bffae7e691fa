"""Records that the aggregator cannot write: one of the ledger is left out by an operator only, others are counted."""

import asyncio
import logging
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from prometheus_client import REGISTRY

from aggregator.clickhouse.client import ClickHouse
from aggregator.core.records import UnusableUpdateError, read_ledger_update
from aggregator.writer.findings import Findings
from aggregator.writer.sink import write
from schemas.event_counts import CountComparison, EventCounts, encode_comparison
from schemas.exit_statuses import FAILED, REFUSED
from schemas.ledger import encode_ledger_update
from schemas.topics import EVENT_COUNTS, LEDGER
from tests.aggregator.facts import entry, update
from tests.aggregator.test_dead_letters import Record
from tests.aggregator.test_worker import produce, send
from tests.brokers import EMBEDDED, running_broker
from tests.integration.processes import Deployment, command, deployed, eventually

COMPARISON = CountComparison(
    origin_partition=0,
    origin_offset=5,
    wallet_partition=0,
    version=9,
    counts=EventCounts(),
    messages=0,
    occurrences=0,
    refused_inputs=0,
    workspaces=0,
)


def skipped() -> float:
    return REGISTRY.get_sample_value("aggregator_unreadable_total", {"topic": EVENT_COUNTS.name}) or 0


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"{}",
        b"[" * 100_000,
        encode_comparison(COMPARISON).replace(b":5,", b":5.5,"),
        encode_comparison(replace(COMPARISON, origin_partition=2**31)),
        encode_comparison(replace(COMPARISON, version=-1)),
        encode_comparison(replace(COMPARISON, messages=2**64)),
    ],
)
def test_a_comparison_that_cannot_be_written_is_told_and_counted(
    value: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    """No charge depends on it, so the aggregator goes on; the sentence says where it lies."""
    before, findings = skipped(), Findings()
    with caplog.at_level(logging.ERROR):
        findings.add(Record(value=value, topic=EVENT_COUNTS.name))
    assert (findings.comparisons, skipped() - before) == ([], 1)
    assert caplog.messages[-1].startswith("event-counts/1/5 is not a comparison of counts and is skipped")


def test_a_comparison_that_fits_is_kept() -> None:
    """At the bounds of its columns too."""
    findings = Findings()
    findings.add(Record(value=encode_comparison(replace(COMPARISON, version=2**64 - 1)), topic=EVENT_COUNTS.name))
    assert len(findings.comparisons) == 1


@pytest.mark.parametrize("value", [None, b"{}", b"[" * 100_000, b'{"workspace_id":"\xff"}'])
def test_a_ledger_record_that_is_no_update_is_refused(value: bytes | None) -> None:
    """However it is broken; the sentence names the command that goes on."""
    with pytest.raises(UnusableUpdateError, match=r"^ledger/1/5 cannot .*`python -m aggregator leave-out ledger/1/5`"):
        read_ledger_update(Record(value=value, topic=LEDGER.name))


async def test_an_update_that_no_table_can_hold_is_refused_by_name(clickhouse: ClickHouse) -> None:
    """Among others that can be written. The insert fails for all of them, and only this one is at fault."""
    wrong = update(2, entries=[replace(entry(2), amount_micros=2**63)])
    findings = Findings()
    for offset, each in enumerate((update(1, entries=[entry(1)]), wrong, update(3))):
        findings.add(Record(value=encode_ledger_update(each), offset=offset, topic=LEDGER.name))
    with pytest.raises(UnusableUpdateError, match=r"^ledger/1/1 .*amount_micros 9223372036854775808 does not fit"):
        await write(clickhouse, findings, {})
    left_out = Findings(left_out=frozenset({(1, 1)}))
    for offset, each in enumerate((update(1, entries=[entry(1)]), wrong, update(3))):
        left_out.add(Record(value=encode_ledger_update(each), offset=offset, topic=LEDGER.name))
    await write(clickhouse, left_out, {})
    assert clickhouse.query("SELECT count() FROM ledger") == [(1,)]


@pytest.mark.integration
def test_a_worker_passes_over_a_ledger_record_only_once_an_operator_has_said_so(tmp_path: Path) -> None:
    """It ends with 78 at each start until then; afterwards the record is a dead letter with its bytes."""
    with (
        running_broker(EMBEDDED, tmp_path) as broker,
        deployed(broker, tmp_path, AGGREGATOR_FLUSH_MS="50", AGGREGATOR_RECONCILE_S="0") as it,
    ):
        asyncio.run(produce(broker, [(0, update(1, entries=[entry(1)]))], []))
        asyncio.run(send(broker, LEDGER.name, b"not an update"))
        asyncio.run(produce(broker, [(0, update(3, entries=[entry(2)]))], []))
        for _ in range(2):
            assert "Error: ledger/0/1 cannot be written to ClickHouse: it is not an update" in refused(it)
        good = command("aggregator", "leave-out", "ledger/0/0", "--yes", env=it.env)
        assert (good.returncode, "can be written" in good.stderr) == (FAILED, True)
        assert "cannot be written: it is not an update" in it.do("aggregator", "leave-out", "ledger/0/1")
        assert "Error: ledger/0/1" in refused(it)
        it.do("aggregator", "leave-out", "ledger/0/1", "--yes")
        worker = it.start("aggregator")
        worker.ready()
        # Sent now: a worker that refused may have read what lay there before, and a count belongs to its process.
        asyncio.run(send(broker, EVENT_COUNTS.name, b"not a comparison"))
        eventually("both updates are written", lambda: worker.count("aggregator_ledger_updates_total") >= 2, 60)
        eventually("the other record is counted", lambda: worker.count("aggregator_unreadable_total") >= 1, 60)
        worker.ask_to_stop()
        worker.stopped()
        with ClickHouse(it.env["CLICKHOUSE_DSN"]) as clickhouse:
            assert clickhouse.query("SELECT count() FROM ledger") == [(2,)]
            assert clickhouse.query("SELECT topic, offset, code, payload FROM dead_letters") == [
                ("ledger", 1, "internal", "not an update")
            ]


def refused(it: Deployment) -> str:
    worker = it.start("aggregator")
    eventually("the worker refuses", lambda: worker.ended() is not None, 60)
    it.workers.remove(worker)
    assert worker.ended() == REFUSED, worker.log
    return worker.log


def test_numbers_beyond_64_bits_reach_the_check() -> None:
    """The decoder takes integers of any size, so the check has to see them."""
    assert msgspec.json.decode(str(2**64).encode(), type=int) == 2**64
