"""What a contender is given: the topic, how much of it, how long, and a directory of its own."""

from typing import Final

import msgspec

PARTITIONS: Final = 4
COMMIT_S: Final = 5.0
"""Between two commits, checkpoints or snapshots, of everyone who has such a thing."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one contender; travels as JSON in its first argument."""

    bootstrap: str
    topic: str
    events: int
    """How many the topic holds."""
    keys: int
    """Of how many interactions they are."""
    limit_s: float
    """After so long it stops, and what it took until then is what counts."""
    directory: str
    """An empty directory for its state; removed afterwards."""
    name: str
    """A name that no other run has had: of its group, and before its topics' names."""
    commit_s: float = COMMIT_S
    updates_topic: str
    """Where it writes a record a session update; made for it, with as many partitions."""


def given(text: str) -> Task:
    """The task that this process was started with. Raises msgspec.ValidationError."""
    return msgspec.json.decode(text, type=Task)
