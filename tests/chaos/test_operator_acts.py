"""An operator's commands: given again where they are cut off, and no act that a worker does not refuse as it should."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from meter.local.broker import free_port
from schemas.exit_statuses import FAILED
from tests.chaos.fleet import Fleet
from tests.chaos.operator_acts import ActError, Operator, require_refusal
from tests.chaos.settings import HORIZON, SettingFaults
from tests.integration.processes import environment, eventually


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(environment(), tmp_path / "operator.log")


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """Workers that find no broker."""
    return Fleet(environment(KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}"), tmp_path)


def test_a_command_that_is_cut_off_is_given_again(operator: Operator, tmp_path: Path) -> None:
    """The first one is killed in its middle, the second one ends by itself."""
    file = tmp_path / "begun"
    text = f"open({str(file)!r}).read()"
    statement = f"import time; print('x', end='', file=open({str(file)!r}, 'a')); time.sleep(60 * ({text} == 'x'))"
    operator.do("timeit", "-n", "1", "-r", "1", statement, cut_s=5.0)
    assert file.read_text() == "xx"


def test_a_command_that_fails_ends_the_act(operator: Operator) -> None:
    """With what it said."""
    assert "Linux" in operator.do("platform") or sys.platform != "linux"
    with pytest.raises(ActError, match="no-such-file"):
        operator.do("json.tool", "no-such-file")


@pytest.mark.integration
def test_a_worker_that_refuses_otherwise_ends_the_act(fleet: Fleet) -> None:
    """Another exit status, or a sentence without the command: an act that goes on would show nothing."""
    require_refusal(fleet, "meter", "no Kafka broker answers", FAILED)
    with pytest.raises(ActError, match="was to refuse"):
        require_refusal(fleet, "meter", "python -m meter accept-loss", FAILED)
    with pytest.raises(ActError, match="was to refuse"):
        require_refusal(fleet, "meter", "no Kafka broker answers")
    assert fleet.crashes == {}


@pytest.mark.integration
def test_a_contradiction_that_is_not_refused_is_a_difference(fleet: Fleet, operator: Operator) -> None:
    """Here the worker ends for want of a broker, however often it is tried."""
    wrong: list[str] = []

    def when(holds: Callable[[], bool], act: Callable[[], None]) -> None:
        eventually("it ends", holds, timeout_s=60)
        act()

    SettingFaults("", fleet, operator, when, wrong).contradict(HORIZON, attempts=1)
    assert len(wrong) == 1
    assert "METER_LATE_HORIZON_H=48 was to be refused with 2" in wrong[0]
