"""Kafka Streams: its own session windows, gap 15 minutes, grace a day, one stream thread (streams/, in Java).

At least once, a commit every 5 s; RocksDB, changelog and a cache of 10 MB, its defaults; an output a session and
commit, or when the cache is full. It is spared a repartition topic (Rekey.java), JSON is parsed once by a fast reader,
and values are 16 bytes. On one core the JVM takes the serial collector; its compiler and collector count. The first
quarter of its time, when most is compiled, passes before the measurement begins.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.bench.task import given

SOURCES: Final = Path(__file__).parents[1] / "streams"
BUILT: Final = Path(__file__).parents[3] / "build" / "bench-streams"
HEAP: Final = "-Xmx4g"
_BUILD_S: Final = 240


class BuildError(RuntimeError):
    """Maven could not build it; the message holds what it said."""


def build() -> None:
    """Compile it and fetch its jars, if that has not been done since its sources changed. Raises BuildError."""
    stamp = BUILT / ".built"
    newest = max(path.stat().st_mtime for path in SOURCES.rglob("*") if path.is_file())
    if stamp.exists() and stamp.stat().st_mtime > newest:
        return
    command = ["mvn", "-q", "-B", "-f", str(SOURCES / "pom.xml"), f"-Dout={BUILT}", "package"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_BUILD_S, check=False
    )
    if done.returncode:
        raise BuildError(f"mvn could not build Kafka Streams' contender:\n{done.stdout[-2000:]}")
    stamp.touch()


def main(text: str) -> None:
    """Become the JVM: this process's id is then its."""
    given(text)
    classes = f"{BUILT / 'classes'}:{BUILT / 'libs'}/*"
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
    os.execvp("java", ["java", HEAP, quiet, "-cp", classes, "bench.Sessions", text])


if __name__ == "__main__":
    main(sys.argv[1])
