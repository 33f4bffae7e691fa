"""What `make` installs before which target, and what is shown meanwhile. Nothing is really installed here."""

import importlib.util
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]

FAKE_PYTHON: Final = """#!/bin/bash
[[ "$*" == "-m pip --version" ]] && exit 0
echo "$*" >> calls
[[ "$*" == *install.py* && -e broken ]] && exit 1
exit 0
"""
RUNTIME: Final = "deploy/install.py --mb 300"
TOOLS: Final = "deploy/install.py --mb 50 --extra dev"
DEMO: Final = "-m meter demo --data build/run"
SIMULATE: Final = "-m tests.simulation --seeds 1000 --from 1"

PIP_PRINTS: Final = """\
Collecting chdb-core>=26.7.0 (from chdb<5,>=4.4->conversation-meter==0.1.0)
  Downloading chdb_core-26.9.0-cp39-abi3-manylinux_2_17_x86_64.whl.metadata (8.3 kB)
  Downloading chdb_core-26.9.0-cp39-abi3-manylinux_2_17_x86_64.whl (181.5 MB)
  Downloading click-8.3.3-py3-none-any.whl (110 kB)
  Building editable for conversation-meter (pyproject.toml): started
  Building editable for conversation-meter (pyproject.toml): finished with status 'done'
Installing collected packages: click, chdb-core
Successfully installed chdb-core-26.9.0 click-8.3.3
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of the files that the Makefile looks at, with a Python that writes down how it is called."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(FAKE_PYTHON)
    python.chmod(0o755)
    return tmp_path


def make(project: Path, target: str) -> list[str]:
    """Make a target, which may fail, and return what was called for it."""
    calls = project / "calls"
    calls.unlink(missing_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--silent", f"PYTHON={sys.executable}", target]
    subprocess.run(command, cwd=project, env=environment, capture_output=True, check=False, timeout=30)
    return [line.rstrip() for line in calls.read_text().splitlines()] if calls.exists() else []


def change(path: Path) -> None:
    """Change a file now, as an editor or a switch to another branch does."""
    path.write_text(path.read_text() + "\n")


def test_running_installs_no_tools_and_only_once(project: Path) -> None:
    """A newcomer waits for what the product needs, the first time."""
    assert make(project, "run") == [RUNTIME, DEMO]
    assert make(project, "run") == [DEMO]


def test_a_proof_adds_the_tools_to_what_is_there(project: Path) -> None:
    """The product is not installed again for them."""
    make(project, "run")
    assert make(project, "simulate") == [TOOLS, SIMULATE]
    assert make(project, "simulate") == [SIMULATE]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_change_installs_again(project: Path, name: str) -> None:
    """Entry points and packages follow the branch; the tools follow when they are needed next."""
    make(project, "simulate")
    change(project / name)
    assert make(project, "run") == ["deploy/install.py", DEMO]
    assert make(project, "run") == [DEMO]
    assert make(project, "simulate") == ["deploy/install.py --extra dev", SIMULATE]


def test_a_failure_leaves_no_stamp(project: Path) -> None:
    """The next `make` tries again, and nothing runs on half an installation."""
    (project / "broken").touch()
    assert make(project, "run") == [RUNTIME]
    (project / "broken").unlink()
    assert make(project, "run") == [RUNTIME, DEMO]


def test_a_change_during_an_installation_installs_again(project: Path) -> None:
    """A stamp has the time at which its installation began."""
    switch = "exit 0\n[[ -e once ]] || { sleep 0.05; touch pyproject.toml once; }\n"
    (project / ".venv" / "bin" / "python").write_text(FAKE_PYTHON.replace("exit 0\n", switch, 1))
    assert make(project, "run") == [RUNTIME, DEMO]
    assert make(project, "run") == ["deploy/install.py", DEMO]
    assert make(project, "run") == [DEMO]


@pytest.fixture(scope="module")
def install() -> ModuleType:
    """The installer, which lies in no package."""
    spec = importlib.util.spec_from_file_location("install", ROOT / "deploy" / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Terminal(io.StringIO):
    """An output that says it is a terminal."""

    def isatty(self) -> bool:
        """Always."""
        return True


def python(program: str) -> list[str]:
    """A command that stands in for pip."""
    return [sys.executable, "-c", program]


def test_a_few_lines_where_there_is_no_terminal(install: ModuleType, tmp_path: Path) -> None:
    """Large files, what follows the downloads, and the time it took."""
    out = io.StringIO()
    assert install.follow(python(f"print({PIP_PRINTS!r}, end='')"), out, 300, tmp_path) == 0
    assert out.getvalue().splitlines() == [
        "  downloading chdb_core-26.9.0 181.5 MB",
        "  building conversation-meter",
        "  unpacking 2 packages",
        "  installed in 0 s",
    ]


def test_a_failure_is_shown_whole_and_keeps_its_status(install: ModuleType, tmp_path: Path) -> None:
    """Nothing of pip's errors is left out, on a terminal neither."""
    program = "import sys; print('Collecting x'); sys.exit(print('ERROR: one\\n  two', file=sys.stderr) or 7)"
    plain, terminal = io.StringIO(), Terminal()
    assert install.follow(python(program), plain, 300, tmp_path) == 7
    assert plain.getvalue() == "ERROR: one\n  two\n"
    assert install.follow(python(program), terminal, 300, tmp_path) == 7
    assert "ERROR: one\n" in terminal.getvalue()
    assert "  two\n" in terminal.getvalue()
    assert "installed" not in terminal.getvalue()


def test_a_terminal_gets_a_bar_of_what_has_arrived(
    install: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes are those of the files that pip is writing; a line is never longer than the terminal is wide."""
    monkeypatch.setattr(install, "columns", lambda _: 80)
    (tmp_path / "pip-unpack-x").mkdir()
    with (tmp_path / "pip-unpack-x" / "chdb_core.whl").open("wb") as file:
        file.truncate(150_000_000)
    out = Terminal()
    progress = install.Progress(out, 300, tmp_path)
    progress.read("  Downloading chdb_core-26.9.0-cp39-abi3-manylinux_2_17_x86_64.whl (181.5 MB)")
    progress.draw()
    assert out.getvalue() == "\r\x1b[K  [##########----------] 150 of about 300 MB  0 s  chdb_core-26.9.0 181.5 MB"
