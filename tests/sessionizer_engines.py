"""The engines that sessionize a partition, for tests of what holds of either: core and, where it is built, kernel."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from meter.kafka.fetched import Fetched
from meter.kernel import is_built
from meter.sessionizer.choose_engine import engine_by, engine_of
from meter.sessionizer.engine import Engine, MakeEngine, Processed
from meter.sessionizer.python_engine import CoreEngine
from meter.settings import load
from tests.packed_records import listed

NOT_BUILT = "the kernel is not built here: install the product where there is a C compiler"

needs_kernel = pytest.mark.skipif(not is_built(), reason=NOT_BUILT)

core: MakeEngine = CoreEngine
kernel: MakeEngine = engine_by("auto")
"""To be used by tests that need it only."""


def chosen() -> MakeEngine:
    """The engine that a worker would have here: METER_KERNEL=off runs all tests that use this one with the core."""
    return engine_of(load())


def parts(engine: Engine, records: Sequence[Fetched]) -> list[Processed]:
    """All that an engine makes of a batch: one part, and another after each record that switches the policy."""
    found = [_listed(engine.process(records))]
    while found[-1].switched is not None:
        found.append(_listed(engine.go_on()))
    return found


def _listed(part: Processed) -> Processed:
    return part._replace(metered=listed(part.metered))


def spilling(directory: Path, above_bytes: int = 0) -> MakeEngine:
    """The kernel that lets go of what is more than that. To be used by tests that need the kernel only."""
    from meter.sessionizer.spill.engine import SpillingEngine  # Cannot be imported where the kernel is not built.

    return partial(SpillingEngine, directory=directory, above_bytes=above_bytes)


either = pytest.mark.parametrize(
    "make_engine", [pytest.param(core, id="core"), pytest.param(kernel, id="kernel", marks=needs_kernel)]
)
