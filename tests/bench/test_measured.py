"""The clock of a run."""

from typing import Any

import pytest

from tests.bench import measured
from tests.bench.measured import Clock


def test_a_run_is_not_over_while_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may ask at any moment, as while memory is being read."""
    clock = Clock(limit_s=60)
    asked: list[bool] = []

    def look(_: Any) -> int:
        asked.append(clock.is_over)
        return 0

    monkeypatch.setattr(measured, "_resident_bytes", look)
    clock.first()
    assert [*asked, clock.is_over] == [False, False]
