"""Faults of settings: topics with others than ours, workers with others than the rest, and workers that contradict the
policy.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from aiokafka.errors import KafkaError

from meter.kernel import is_built
from schemas.exit_statuses import FAILED, REFUSED
from schemas.topics import CHAT_EVENTS, CONVERSATION_STATE, DEAD_LETTERS, WALLET_INPUTS, WALLET_STATE
from tests.chaos.fleet import Fleet
from tests.chaos.operator_acts import AGAIN, Operator, change_setting
from tests.integration.processes import Worker

When = Callable[[Callable[[], bool], Callable[[], None]], None]
"""Calls the second once the first is true."""

CHANGE_S: Final = 60.0
"""How long it is tried to change a setting while the broker may be away."""

CONTRADICTS: Final = 2
"""How a worker ends whose variables contradict the policy."""

_READY: Final = "meter ready"


class TopicSetting(NamedTuple):
    """A setting that is not ours. If it `breaks` exactness, workers refuse to start; else they warn."""

    topic: str
    setting: str
    value: str
    breaks: bool = True


TOPIC_SETTINGS: Final = (
    TopicSetting(CHAT_EVENTS.name, "message.timestamp.type", "CreateTime"),
    TopicSetting(WALLET_INPUTS.name, "retention.ms", "3600000"),
    TopicSetting(CONVERSATION_STATE.name, "cleanup.policy", "delete"),
    TopicSetting(WALLET_STATE.name, "min.compaction.lag.ms", "0"),
    TopicSetting(DEAD_LETTERS.name, "max.message.bytes", str(8 * 1024 * 1024)),
    TopicSetting(CHAT_EVENTS.name, "retention.ms", "86400000", breaks=False),
)

HORIZON: Final = "METER_LATE_HORIZON_H"
DEBIT_ORDER: Final = "METER_DEBIT_ORDER"
CONTRADICTIONS: Final[Mapping[str, tuple[str, str]]] = {
    HORIZON: ("48", "python -m meter policy set --late-horizon-h 48"),
    DEBIT_ORDER: ("paid_first", "python -m meter policy set --debit-order paid_first"),
}
"""A variable that contradicts the policy -> its value, and the command that the refusal names."""


def process_settings(directory: Path) -> tuple[dict[str, str], ...]:
    """Return the variables that a worker may have and the others not. The bill does not depend on them."""
    spills = {"METER_SPILL_DIR": str(directory / "spilled"), "METER_SPILL_ABOVE_MB": "0"}
    return (
        {"METER_KERNEL": "off", "METER_SPILL_DIR": ""},
        {"METER_CHECKPOINT_MS": "20"},
        {"METER_CHECKPOINT_MS": "3000"},
        spills if is_built() else {},
        {"METER_SPILL_DIR": ""},
        {"KAFKA_SESSION_TIMEOUT_S": "2.5"},
    )


class SettingFaults:
    """Plays them beside all other faults. What goes wrong is added to `wrong`."""

    def __init__(self, bootstrap: str, fleet: Fleet, operator: Operator, when: When, wrong: list[str]) -> None:
        self._bootstrap = bootstrap
        self._fleet = fleet
        self._operator = operator
        self._when = when
        self._wrong = wrong
        self._is_changed = False

    def change_process(self, which: int, changes: Mapping[str, str]) -> bool:
        """Stop a worker, and start one with other variables. False if none runs."""
        worker = self._fleet.pick("meter", which)
        if worker is None:
            return False
        self._fleet.leave(worker)
        self._fleet.start("meter", changes)
        return True

    def contradict(self, variable: str, attempts: int = AGAIN) -> None:
        """Start a worker whose variable contradicts the policy: it must refuse, and the others go on."""
        value, advice = CONTRADICTIONS[variable]
        worker = self._fleet.attempt("meter", {variable: value})

        def ended() -> None:
            if worker.ended() in (FAILED, REFUSED) and attempts:  # The broker is away, or a topic has another setting.
                self.contradict(variable, attempts - 1)
            elif worker.ended() != CONTRADICTS or advice not in worker.log:
                self._add(worker, f"with {variable}={value} was to be refused with {CONTRADICTS} and {advice!r}")

        self._when(lambda: _has_decided(worker), ended)

    def change_topic(self, changed: TopicSetting) -> bool:
        """Change a setting of a topic, see what a worker says, and repair it. False while another one is changed."""
        if self._is_changed:
            return False
        self._is_changed = True
        changing = threading.Thread(target=self._change, args=[changed], name=f"change {changed.topic}", daemon=True)
        changing.start()
        self._when(lambda: not changing.is_alive(), lambda: self._see(changed, AGAIN))
        return True

    def _change(self, changed: TopicSetting) -> None:
        began_at = time.monotonic()
        while time.monotonic() - began_at < CHANGE_S:
            with suppress(KafkaError):
                change_setting(self._bootstrap, changed.topic, changed.setting, changed.value)
                return
            time.sleep(0.2)

    def _see(self, changed: TopicSetting, attempts: int) -> None:
        """Start a worker, which has to refuse or to warn."""
        worker = self._fleet.attempt("meter")
        found = f"{changed.topic} has {changed.setting}={changed.value}"

        def decided() -> None:
            has_refused = worker.ended() in (FAILED, REFUSED)
            if has_refused and found not in worker.log and attempts:
                self._see(changed, attempts - 1)  # The broker is away.
                return
            if found not in worker.log or has_refused != changed.breaks:
                self._add(worker, f"was to say {found!r} and {'to refuse' if changed.breaks else 'to work'}")
            if worker.ended() is None:
                self._fleet.adopt(worker)
                self._fleet.leave(worker)
            self._repair()

        self._when(lambda: _has_decided(worker), decided)

    def _repair(self) -> None:
        repairing = self._operator.begin("meter", "topics", "--repair")

        def ended() -> None:
            if repairing.returncode:
                self._repair()  # The broker is away.
            else:
                self._is_changed = False

        self._when(lambda: repairing.poll() is not None, ended)

    def _add(self, worker: Worker, expected: str) -> None:
        last = worker.log.strip().splitlines()[-1:]
        self._wrong.append(f"{worker.log_file.name} {expected}: it ended with {worker.ended()}, {last}")
        worker.kill()


def _has_decided(worker: Worker) -> bool:
    return worker.ended() is not None or _READY in worker.log
