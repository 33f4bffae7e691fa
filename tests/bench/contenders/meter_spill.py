"""The meter, sessionizing, with room in memory for a quarter of its state: the rest is in RocksDB, on a local disk.

The feed is the worst there is for that: every interaction is as likely as any other to be the next one that speaks.
What changes between two checkpoints stays in memory as well, whatever the room.
"""

import os
import sys

from tests.bench.contenders.meter import run
from tests.bench.task import PARTITIONS, Task, given

A_KEY_BYTES = 380
"""What a key of 7.5 messages takes in memory."""


def spilling(task: Task) -> dict[str, str]:
    """The settings that leave room for a quarter, in whole megabytes."""
    quarter_mb = task.keys * A_KEY_BYTES // 4 // PARTITIONS >> 20
    return {"METER_SPILL_DIR": task.directory, "METER_SPILL_ABOVE_MB": str(max(1, quarter_mb))}


if __name__ == "__main__":
    task = given(sys.argv[1])
    os.environ |= spilling(task)
    run(task, "sessionize")
