"""A supervisor learns from the exit status whether to start a program again."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import click
import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError

from aggregator.cli.errors import refusals as aggregator_refusals
from aggregator.clickhouse.client import ClickHouseAwayError
from aggregator.clickhouse.directory_lock import DirectoryTakenError
from aggregator.clickhouse.migrate import NewerTablesError, TablesError
from aggregator.kafka.survey import KafkaUnusableError, TopicsUnevenError
from aggregator.writer.start import HoldingsError
from meter.cli.errors import refusals as meter_refusals
from meter.ingest.feed_lines import FeedError
from meter.kafka.admin import BrokerAwayError, TopicsDifferError, TopicsMissingError
from meter.kafka.topics import ProducerRefusedError, TopicsError
from meter.local.processes import RefusedError, RunError, Stopped, Worker
from meter.operations.cluster import OperationError
from schemas.codecs import CodecsMissingError
from schemas.environment import SettingsError
from schemas.exit_statuses import CRASHED, FAILED, REFUSED, STOPPED, USAGE_ERROR
from schemas.formats import NewerFormatError
from schemas.listening import PortsTakenError

Refusals = Callable[[], AbstractContextManager[None]]
SAID = "one sentence"


def status_of(refusals: Refusals, error: type[BaseException]) -> int:
    with pytest.raises((click.ClickException, SystemExit)) as ended, refusals():
        raise error(SAID)
    raised: BaseException = ended.value
    if isinstance(raised, click.ClickException):
        return raised.exit_code
    assert isinstance(raised, SystemExit)
    return int(str(raised.code))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BrokerAwayError, FAILED),
        (KafkaConnectionError, FAILED),
        (KafkaTimeoutError, FAILED),
        (TopicsMissingError, FAILED),
        (TopicsError, FAILED),
        (PortsTakenError, FAILED),
        (OperationError, FAILED),
        (RunError, FAILED),
        (SettingsError, USAGE_ERROR),
        (FeedError, USAGE_ERROR),
        (TopicsDifferError, REFUSED),
        (ProducerRefusedError, REFUSED),
        (CodecsMissingError, REFUSED),
        (NewerFormatError, REFUSED),
        (RefusedError, REFUSED),
        (Stopped, STOPPED),
    ],
)
def test_the_meter_ends_with(error: type[BaseException], status: int) -> None:
    """What a restart may mend is 1, what it cannot is 78, and what was typed wrong is 2."""
    assert status_of(meter_refusals, error) == status


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ClickHouseAwayError, FAILED),
        (KafkaUnusableError, FAILED),
        (DirectoryTakenError, FAILED),
        (TablesError, FAILED),
        (PortsTakenError, FAILED),
        (SettingsError, USAGE_ERROR),
        (HoldingsError, REFUSED),
        (TopicsUnevenError, REFUSED),
        (NewerTablesError, REFUSED),
        (CodecsMissingError, REFUSED),
    ],
)
def test_the_aggregator_ends_with(error: type[BaseException], status: int) -> None:
    """Tables that lack a migration may get it from another process, so a restart may mend that."""
    assert status_of(aggregator_refusals, error) == status


@pytest.mark.parametrize(
    ("status", "starts_again"), [(0, True), (FAILED, True), (CRASHED, True), (USAGE_ERROR, False), (REFUSED, False)]
)
def test_a_run_starts_a_worker_again_unless_it_refused(tmp_path: Path, status: int, starts_again: bool) -> None:
    """A refusal is said in the worker's own words."""
    program = tmp_path / "program.py"
    program.write_text(f"import sys; print('Error: {SAID}'); sys.exit({status})")
    worker = Worker("meter", ["program"], {"PYTHONPATH": str(tmp_path)}, tmp_path / "log")
    ended = worker._process
    ended.wait(30)
    try:
        if starts_again:
            worker.watch()
            assert worker._process is not ended
        else:
            with pytest.raises(RefusedError, match=f"^the meter worker refuses to run: {SAID}$"):
                worker.watch()
    finally:
        worker.stop()
