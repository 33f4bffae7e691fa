"""Stderr of the engine inside this process: the engine writes to it by itself while it starts."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_STDERR: Final = 2

_NO_CGROUPS: Final = re.compile(
    rb"^Cannot use cgroups reader: .*?\n(?:\s*\n)?(?:\d+\. .*\n)* ?(?:\(version [^)\n]*\)\n)?", re.M
)
"""The engine's message, with its stack trace, that the system has no cgroup files. It then reads memory elsewhere."""


@contextmanager
def without_cgroups_trace() -> Iterator[None]:
    """Remove the engine's stack trace about missing cgroup files from stderr; pass on all else when the block ends.

    The engine writes to the file descriptor, not to `sys.stderr`, so the descriptor is replaced for the time. Another
    thread's lines wait as long. Without a stderr it changes nothing.
    """
    try:
        real = os.dup(_STDERR)
    except OSError:  # Closed, as under some service managers.
        yield
        return
    with tempfile.TemporaryFile() as kept:
        sys.stderr.flush()
        os.dup2(kept.fileno(), _STDERR)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(real, _STDERR)
            os.close(real)
            kept.seek(0)
            left = memoryview(without_trace(kept.read()))
            while left:
                left = left[os.write(_STDERR, left) :]


def without_trace(text: bytes) -> bytes:
    """Return what was written to stderr without the engine's message about cgroup files."""
    return _NO_CGROUPS.sub(b"", text)
