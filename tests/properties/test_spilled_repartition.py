"""A repartition of state that is kept on disk: the engine with a store takes what was copied, as of any offset."""

import pytest
from hypothesis import given, settings

from tests.properties.pipeline import Turn
from tests.properties.test_repartition import assert_as_one_pass, cuts, driven, kills, numbers
from tests.properties.view import view
from tests.properties.worlds import feeds, turns
from tests.sessionizer_engines import needs_kernel, spilling


@needs_kernel
@settings(max_examples=15)
@given(feeds, turns, numbers, cuts, kills)
def test_a_store_on_disk_takes_what_a_repartition_copies(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[bytes],
    taken: list[Turn],
    partitions: list[int],
    cut: int,
    killed: list[int],
) -> None:
    """A new partition has state as of offset -1, before its first record."""
    make_engine = spilling(tmp_path_factory.mktemp("spilled"))
    pipeline = driven(lines, taken, partitions, cut, killed, make_engine=make_engine)
    assert_as_one_pass(view(pipeline.log), lines)
