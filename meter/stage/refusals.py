"""Refusals: why a worker must not go on with what it finds, each as a sentence that names the command that goes on.

Going on would bill something twice, or not at all. So the worker ends with a status of its own (`meter/worker.py`), and
a restart refuses again until an operator has acted.
"""

from faust.types import TP


class RefusalError(Exception):
    """A stage must not process any record. The message says what happened, and which command goes on."""


class LostRecordsError(RefusalError):
    """The broker deleted records before this stage read them. A longer retention or more workers prevent it."""

    @classmethod
    def between(cls, tp: TP, first: int, beginning: int) -> "LostRecordsError":
        """Return the error for the offsets from `first` to `beginning` - 1."""
        return cls(
            f"{tp.topic}/{tp.partition}: offsets {first} to {beginning - 1} were deleted unread; "
            "run `python -m meter accept-loss`, which writes down what was lost and goes on after it"
        )
