"""The meter, sessionizing, with room in memory for a quarter of its state at the end: the rest is in RocksDB.

The feed is the worst there is for that: every interaction is as likely as any other to be the next one that speaks.
Where memory is full of what waits for a checkpoint, that comes before its time.
"""

import os
import sys

from tests.bench.contenders.meter import run
from tests.bench.task import PARTITIONS, Task, given

A_KEY_BYTES, AN_EVENT_BYTES = 130, 36
"""What a key takes in memory, and each of its messages."""


def spilling(task: Task) -> dict[str, str]:
    """The settings that leave room for a quarter, in whole megabytes."""
    state_bytes = task.keys * A_KEY_BYTES + task.events * AN_EVENT_BYTES
    return {"METER_SPILL_DIR": task.directory, "METER_SPILL_ABOVE_MB": str(state_bytes / 4 / PARTITIONS / 2**20)}


if __name__ == "__main__":
    task = given(sys.argv[1])
    os.environ |= spilling(task)
    run(task, "sessionize")
