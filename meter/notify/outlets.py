"""The contract of an outlet: a way by which notices leave, and how a delivery can fail."""

from typing import Literal, Protocol

from schemas.deliveries import MAX_REASON_CHARACTERS, Channel
from schemas.notices import Notice


class DeliveryError(Exception):
    """A delivery did not succeed. The message is one line of at most 500 characters, without control characters."""

    def __init__(self, reason: str) -> None:
        super().__init__(one_line_reason(reason))


class PermanentError(DeliveryError):
    """The delivery will not succeed: it must not be tried again."""


class TemporaryError(DeliveryError):
    """The delivery may succeed later. It is tried again for a bounded time."""


class AwayError(DeliveryError):
    """The other side is away, or refuses every notice. The delivery is tried again without an end."""


Bound = Literal["written", "refused"]
"""From when the bounded time of a TemporaryError counts: the writing of the notice, or the first such failure."""


class Outlet(Protocol):
    """One way by which notices leave: the mail server, or one endpoint of webhooks.

    `endpoint` is the endpoint's name, or "". `group` is the consumer group, which no other outlet has. `slots` is how
    many attempts may be under way at once.
    """

    channel: Channel
    endpoint: str
    group: str
    slots: int
    bound: Bound
    judges_age: bool
    """Whether a notice that was written long after its event is left out."""

    def recipients(self, notice: Notice) -> list[str]:
        """Return the recipients of a notice by this outlet, each once; none if the notice does not go this way."""

    async def send(self, notice: Notice, recipient: str) -> None:
        """Make one attempt, which ends within ATTEMPT_S. Returns once the other side has taken the notice.

        Raises PermanentError, TemporaryError, AwayError, or NoticeError if the notice does not fit its template. When
        it raises, or the process ends, the other side may have taken the notice even so.
        """

    async def close(self) -> None:
        """Let go of connections. Called once, after the last attempt."""


ATTEMPT_S = 60.0
"""The longest that an attempt may take."""


def one_line_reason(text: str) -> str:
    """Return a text from outside as one line that can be stored and shown."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= MAX_REASON_CHARACTERS else line[: MAX_REASON_CHARACTERS - 1] + "…"
