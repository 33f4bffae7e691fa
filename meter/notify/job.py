"""A notice that is being delivered."""

from typing import NamedTuple

from schemas.deliveries import Again
from schemas.notices import Notice


class Job(NamedTuple):
    """A notice to deliver, where it lies on notices, and when it was written there, by the broker's clock."""

    notice: Notice
    partition: int
    offset: int
    written_ms: int
    again: Again | None = None

    @property
    def nonce(self) -> str:
        """The nonce of the replay that asks for the notice again; empty for none."""
        return self.again.nonce if self.again else ""


class Underway:
    """The delivery of a job to one recipient: how many attempts there were, and when the first was refused."""

    def __init__(self, job: Job, recipient: str) -> None:
        self.job = job
        self.recipient = recipient
        self.attempts = 0
        self.first_refused_s: float | None = None


class ClosingError(Exception):
    """The deliverer closes; the delivery is not done, and its next owner goes on with it."""
