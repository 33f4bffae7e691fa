"""No contender is called fast that has not done the work."""

from typing import Any

import pytest

from tests.bench.audit import WrongCountError, check
from tests.bench.feed import Truth
from tests.bench.measured import Measured
from tests.bench.task import Task

TRUTH = Truth(events=1_000, conversations=130, billable=100, keys_seen=50)
TASK = Task(
    bootstrap="127.0.0.1:1",
    topic="t",
    events=1_000,
    keys=50,
    limit_s=10,
    directory="/nowhere",
    name="n",
    updates_topic="n-u",
)
WHOLE: dict[str, Any] = {
    "events": 1_000,
    "messages": 1_000,
    "conversations": 130,
    "wall_s": 5.0,
    "cpu_s": 5.0,
    "peak_bytes": 2,
    "start_bytes": 1,
}


def test_a_whole_feed_is_whole() -> None:
    """All events, every message in a conversation, all conversations; or as many as the contender counts."""
    assert check("x", TASK, TRUTH, Measured(**WHOLE))
    assert check("x", TASK, TRUTH, Measured(**WHOLE | {"conversations": None}))


def test_a_prefix_is_one_if_the_time_was_up() -> None:
    """After the limit, or with a part of the time spent on getting warm."""
    assert not check("x", TASK, TRUTH, Measured(**WHOLE | {"events": 600, "messages": 600, "wall_s": 10.1}))
    warm = {"warming": 200, "events": 400, "messages": 600, "wall_s": 7.5}
    assert not check("x", TASK, TRUTH, Measured(**WHOLE | warm))


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": 999},
        {"conversations": 131},
        {"events": 999, "messages": 999},
        {"events": 1_001, "messages": 1_001},
        {"warming": 1},
    ],
    ids=["a message in no conversation", "a conversation too many", "stopped early", "read twice", "warmed on nothing"],
)
def test_work_that_is_not_done_is_noticed(wrong: dict[str, int]) -> None:
    """With a sentence that has both numbers in it."""
    with pytest.raises(WrongCountError, match=r"^x .*\d+.*\d+"):
        check("x", TASK, TRUTH, Measured(**WHOLE | wrong))
