"""Install the project, or the packages of one of its extras, with pip, and show how far pip is.

The Makefile calls this with the Python of the virtual environment. It needs nothing but the standard library, because
nothing else is installed yet. pip alone prints either nothing or some 150 lines, and its bar is per file.

A terminal gets one line that is rewritten, with a bar. Elsewhere each file of 10 MB or more gets a line. pip's errors
and warnings are always printed whole, and its exit status is the exit status here.
"""

import argparse
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from pathlib import Path
from typing import IO, Final

ROOT: Final = Path(__file__).parents[1]

TICK_S: Final = 0.2
"""How often the line on a terminal is rewritten."""
BAR_CELLS: Final = 20
LARGE_MB: Final = 10
"""A file of at least this size gets a line of its own where there is no terminal."""

DOWNLOAD: Final = re.compile(
    r"\s*(?:Downloading|Using cached) (?:\S*/)?(?P<package>[^\s/]+?-[^\s/-]+)-[^\s/]*\.whl(?: \((?P<size>.+)\))?$"
)
"""The file's name begins with the package and its version; the size is like `181.5 MB` or `64 kB`."""
BUILD: Final = re.compile(r"\s*Building \w+ for (?P<package>\S+) .*started$")
UNPACK: Final = re.compile(r"Installing collected packages: (?P<names>.+)$")


class Progress:
    """What pip is doing, shown on one output. `total_mb` is roughly what pip will download, or 0 if that is unknown."""

    def __init__(self, out: IO[str], total_mb: int, downloads: Path) -> None:
        """`downloads` is the temporary directory of that pip, and of no other process."""
        self._out = out
        self._terminal = out.isatty()
        self._total_mb = total_mb
        self._downloads = downloads
        self._begun_s = time.monotonic()
        self._doing = "resolving"
        self._downloading = True

    def read(self, line: str) -> None:
        """Take a line of pip's standard output into account."""
        if download := DOWNLOAD.match(line):
            size = download["size"] or ""
            self._doing = f"{download['package']} {size}".rstrip()
            if size.endswith(" MB") and float(size.removesuffix(" MB")) >= LARGE_MB:
                self._plain(f"downloading {self._doing}")
        elif build := BUILD.match(line):
            self._now(f"building {build['package']}")
        elif unpack := UNPACK.match(line):
            count = len(unpack["names"].split(", "))
            self._now(f"unpacking {count} package{'s' if count > 1 else ''}")

    def draw(self) -> None:
        """Rewrite the line on a terminal. Does nothing elsewhere."""
        if not self._terminal:
            return
        bar = f"{self._bar()}  " if self._downloading and self._total_mb else ""
        text = f"  {bar}{time.monotonic() - self._begun_s:.0f} s  {self._doing}"
        self._out.write(f"\r\x1b[K{text[: columns(self._out) - 1]}")
        self._out.flush()

    def say(self, line: str) -> None:
        """Print a line of pip's as it is, above the line that is rewritten."""
        self.clear()
        self._out.write(line)
        self._out.flush()

    def done(self) -> None:
        """Say how long it took. Called once, and only if pip succeeded."""
        self.clear()
        self._out.write(f"  installed in {time.monotonic() - self._begun_s:.0f} s\n")
        self._out.flush()

    def clear(self) -> None:
        """Leave an empty line on a terminal, at whose beginning the cursor is."""
        if self._terminal:
            self._out.write("\r\x1b[K")
            self._out.flush()

    def _now(self, doing: str) -> None:
        """Begin a step after the downloads."""
        self._doing = doing
        self._downloading = False
        self._plain(doing)

    def _plain(self, line: str) -> None:
        if not self._terminal:
            self._out.write(f"  {line}\n")
            self._out.flush()

    def _bar(self) -> str:
        done_mb = self._downloaded_mb()
        cells = min(BAR_CELLS, BAR_CELLS * done_mb // self._total_mb)
        return f"[{'#' * cells}{'-' * (BAR_CELLS - cells)}] {done_mb} of about {self._total_mb} MB"

    def _downloaded_mb(self) -> int:
        """pip writes each file to a directory `pip-unpack-*` of its own, and keeps it until it ends."""
        sizes = 0
        for file in self._downloads.glob("pip-unpack-*/*.whl"):
            try:
                sizes += file.stat().st_size
            except OSError:
                continue  # pip removes its files when it ends
        return sizes // 1_000_000


def columns(terminal: IO[str]) -> int:
    """How wide a terminal is. Some say 0, and some do not say."""
    try:
        return os.get_terminal_size(terminal.fileno()).columns or 80
    except OSError:
        return 80


def follow(command: list[str], out: IO[str], total_mb: int, scratch: Path) -> int:
    """Run pip, show its progress on `out`, and return its exit status. Temporary files go below `scratch`."""
    with tempfile.TemporaryDirectory(prefix="install-", dir=scratch, ignore_cleanup_errors=True) as temporary:
        progress = Progress(out, total_mb, Path(temporary))
        environment = {**os.environ, "TMPDIR": temporary, "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True, errors="replace"
        ) as pip:
            assert pip.stdout is not None
            assert pip.stderr is not None
            lines: queue.Queue[tuple[IO[str], str]] = queue.Queue()
            streams = [pip.stdout, pip.stderr]
            for stream in streams:
                threading.Thread(target=_read, args=(stream, lines), daemon=True).start()
            while streams:
                try:
                    stream, line = lines.get(timeout=TICK_S)
                except queue.Empty:
                    progress.draw()
                    continue
                if not line:
                    streams.remove(stream)
                elif stream is pip.stdout:
                    progress.read(line.rstrip("\n"))
                else:
                    progress.say(line)
        if pip.returncode == 0:
            progress.done()
        else:
            progress.clear()
        return pip.returncode


def _read(stream: IO[str], lines: queue.Queue[tuple[IO[str], str]]) -> None:
    """Hand on each line of a stream; the empty one says that the stream has ended."""
    for line in stream:
        lines.put((stream, line))
    lines.put((stream, ""))


def requirements(extra: str) -> list[str]:
    """The packages of an extra, as pyproject.toml names them. Raises KeyError if there is no such extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return list(project["optional-dependencies"][extra])


def main() -> int:
    """Install the project in editable mode, or with `--extra` what an extra adds to it."""
    parser = argparse.ArgumentParser(description="Installs the project into this Python's environment, with progress.")
    parser.add_argument("--extra", metavar="NAME", help="install the packages of this extra, and not the project")
    parser.add_argument(
        "--mb", type=int, default=0, help="how much pip will download, roughly; without it there is no bar"
    )
    arguments = parser.parse_args()
    # An extra's packages are named here one by one. `-e .[dev]` would also build the kernel again.
    wanted = requirements(arguments.extra) if arguments.extra else ["--editable", str(ROOT)]
    # Without --no-compile pip compiles every module of every package, most of which are never imported.
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-compile"]
    pip += ["--progress-bar", "off", "--constraint", str(ROOT / "constraints.txt"), *wanted]
    try:
        return follow(pip, sys.stdout, arguments.mb, Path(sys.prefix))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
