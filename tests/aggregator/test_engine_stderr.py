"""The engine's own words on stderr."""

import os
import subprocess
import sys

from aggregator.clickhouse.engine_stderr import without_trace

TRACE = (
    b"Cannot use cgroups reader: Code: 107. DB::Exception: Cannot find cgroups v1 or v2 current memory file. "
    b"(FILE_DOESNT_EXIST), Stack trace (when copying this message, always include the lines below):\n\n"
    b"0. ? @ 0x000000001d967133\n"
    b"13. ZSTD_freeCCtx @ 0x000000000001ef84\n31. ./x.h:73:16: f @ 0x25\n (version 26.9.2.1)\n"
)
"""As chdb 26.9 writes it where /sys/fs/cgroup is empty, with three of its frames."""

PROGRAM = """
import os, sys
from aggregator.clickhouse.engine_stderr import without_cgroups_trace
with without_cgroups_trace():
    os.write(2, b"before\\n" + sys.stdin.buffer.read() + b"after\\n")
os.write(2, b"outside\\n")
"""


def test_only_the_trace_about_cgroups_is_removed() -> None:
    """The message and its frames go; lines before and after it stay, other traces too."""
    assert without_trace(b"before\n" + TRACE + b"after\n") == b"before\nafter\n"
    other = b"Code: 60. DB::Exception: no table, Stack trace:\n\n0. ? @ 0x1\n (version 26.9)\n"
    assert without_trace(TRACE + other) == other


def test_a_process_shows_all_but_the_trace() -> None:
    """What a library writes to the file descriptor is passed on when the block ends; later lines go straight out."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], input=TRACE, capture_output=True, check=True)
    assert done.stderr == b"before\nafter\noutside\n"


def test_a_closed_stderr_is_no_error() -> None:
    """A service manager may start a process without a stderr."""
    program = "import os; os.close(2)\n" + PROGRAM.replace("os.write(2", "os.write(1")
    done = subprocess.run([sys.executable, "-c", program], input=b"", stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"before" + os.linesep.encode() + b"after\noutside\n"
