"""Carries out the faults of a plan, each when its time comes, and gives back what was taken away."""

import heapq
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path
from typing import Final

from tests.chaos.clickhouse import Server
from tests.chaos.fleet import Fleet
from tests.chaos.operator_acts import Operator
from tests.chaos.plan import BROKER_KILL, CONTRADICTION, COPY, PROCESS_SETTING, TOPIC_SETTING, Fault
from tests.chaos.settings import TOPIC_SETTINGS, SettingFaults, process_settings
from tests.chaos.watch import strike_at_next_record
from tests.integration.processes import Worker
from tests.kafka.local_kafka import LocalKafka

Act = Callable[[], None]

_LOOK_AGAIN_S: Final = 0.05


class Timeline:
    """What is still to happen, in order of time."""

    def __init__(self, fleet: Fleet, clickhouse: Server, kafka: LocalKafka, operator: Operator, log_file: Path) -> None:
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        """What a worker did that was to refuse, and did not."""
        self._fleet = fleet
        self._clickhouse = clickhouse
        self._kafka = kafka
        self._operator = operator
        self._log_file = log_file
        self._began_at = time.monotonic()
        self._order = count()
        self._due: list[tuple[float, int, Act]] = []
        self._clickhouse_away = False
        self._process_settings = process_settings(log_file.parent)
        self._settings = SettingFaults(kafka.bootstrap, fleet, operator, self._when, self.wrong)

    def begin(self, faults: Iterable[Fault]) -> None:
        """Let their times count from now on."""
        self._began_at = time.monotonic()
        for fault in faults:
            self._at(fault.at_s, lambda fault=fault: self._strike(fault))  # type: ignore[misc]

    def advance(self) -> bool:
        """Do what is due; whether all is done."""
        while self._due and self._due[0][0] <= self._now_s():
            heapq.heappop(self._due)[2]()
        return not self._due

    def _now_s(self) -> float:
        return time.monotonic() - self._began_at

    def _at(self, at_s: float, act: Act) -> None:
        heapq.heappush(self._due, (at_s, next(self._order), act))

    def _strike(self, fault: Fault) -> None:
        if fault.kind == BROKER_KILL:
            back: Act | None = self._broker_kill()
        elif fault.kind == "policy":
            back = self._policy_fault(fault)
        elif fault.kind in (TOPIC_SETTING, PROCESS_SETTING, CONTRADICTION):
            back = self._setting_fault(fault)
        elif fault.kind == COPY:
            back = self._copy()
        elif fault.kind.startswith("clickhouse"):
            back = self._clickhouse_fault(fault)
        else:
            back = self._worker_fault(fault)
        if back is None:
            return
        self.done[fault.kind] += 1
        self.note(f"{fault.kind} {fault.program if 'clickhouse' not in fault.kind else ''} {fault.length_s:.1f} s")
        self._at(self._now_s() + fault.length_s, back)

    def _worker_fault(self, fault: Fault) -> Act | None:
        fleet = self._fleet
        if fault.kind == "join":
            guest = fleet.start(fault.program)
            return lambda: fleet.leave(guest)
        if fault.kind == "kill all":
            victims = fleet.those_of(fault.program)
            for victim in victims:
                self._kill(victim, fault)
            self.done[fault.kind] += max(0, len(victims) - 1)  # Each is a kill; one is counted with the fault.
            return _nothing if victims else None
        worker = fleet.pick(fault.program, fault.which)
        if worker is None:
            return None
        if fault.kind == "pause":
            fleet.pause(worker)
            return lambda: fleet.wake(worker)
        if fault.kind == "stop":
            fleet.leave(worker)
            fleet.start(fault.program)
        else:
            self._kill(worker, fault)
        return _nothing

    def _kill(self, worker: Worker, fault: Fault) -> None:
        """As soon as something is written; another takes its place as soon as it is dead."""
        self._fleet.doom(worker)
        strike_at_next_record(self._kafka.bootstrap, fault.topic, fault.length_s, worker.kill)
        self._when(lambda: worker.ended() is not None, lambda: self._fleet.replace(worker))

    def _when(self, holds: Callable[[], bool], act: Act) -> None:
        if holds():
            act()
        else:
            self._at(self._now_s() + _LOOK_AGAIN_S, lambda: self._when(holds, act))

    def _clickhouse_fault(self, fault: Fault) -> Act | None:
        """None while it is away already."""
        if self._clickhouse_away:
            return None
        self._clickhouse_away = True
        if fault.kind == "clickhouse pause":
            self._clickhouse.pause()
            give_back = self._clickhouse.wake
        else:
            self._clickhouse.kill()
            give_back = self._clickhouse.start

        def back() -> None:
            give_back()
            self._clickhouse_away = False

        return back

    def _copy(self) -> Act:
        """Copy its files as soon as it is not away. It is killed for that, and started again at once."""

        def copy() -> None:
            self._clickhouse.kill()
            self._clickhouse.copy()
            self._clickhouse.start()

        self._when(lambda: not self._clickhouse_away, copy)
        return _nothing

    def _setting_fault(self, fault: Fault) -> Act | None:
        if fault.kind == CONTRADICTION:
            self._settings.contradict(fault.topic)
            return _nothing
        if fault.kind == TOPIC_SETTING:
            begun = self._settings.change_topic(TOPIC_SETTINGS[fault.which])
        else:
            begun = self._settings.change_process(fault.which, self._process_settings[fault.which])
        return _nothing if begun else None

    def _policy_fault(self, fault: Fault) -> Act:
        """Hold unknown workspaces for a while, with free credit last or first. What was held is charged afterwards."""
        order = ("free_first", "paid_first")[fault.which % 2]
        held = self._set_policy("hold", order)
        return lambda: self._when(lambda: held.poll() is not None, lambda: self._provision(order))

    def _set_policy(self, unknown_workspace: str, debit_order: str) -> subprocess.Popen[bytes]:
        """Begin `meter policy set`, which may be refused while the broker is away."""
        words = ["set", "--unknown-workspace", unknown_workspace, "--debit-order", debit_order]
        return self._operator.begin("meter", "policy", *words)

    def _provision(self, order: str) -> None:
        """The broker may be away, or another change may come first: try again until it is set."""
        setting = self._set_policy("provision", order)

        def ended() -> None:
            if setting.returncode:
                self._provision(order)

        self._when(lambda: setting.poll() is not None, ended)

    def _broker_kill(self) -> Act:
        self._kafka.kill()
        return self._kafka.start

    def note(self, what: str) -> None:
        """Write a line to the log of faults."""
        with self._log_file.open("a") as log:
            log.write(f"{time.strftime('%H:%M:%S')} {self._now_s():6.2f} s  {what}\n")


def _nothing() -> None:
    """Nothing is to be given back."""
