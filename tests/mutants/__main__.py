"""`python -m tests.mutants`: brings known bugs back, one at a time, and sees that the proofs notice each."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.mutants.bugs import Bug, NoSuchBugError, apply, known

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("schemas", "meter", "aggregator", "tests", "pyproject.toml")
LONGEST_S = 600
TOO_LONG = 124
"""The exit status of proofs that were ended after LONGEST_S. On a busy machine that may be no bug: try it alone."""
PROPERTIES = (
    *("-m", "pytest", "tests/properties", "tests/unit/test_stage_ownership.py", "tests/unit/test_stage_refusals.py"),
    "tests/unit/test_cut_off_checkpoints.py",
    *("-x", "-q", "--hypothesis-profile=notice", "--hypothesis-seed=0"),
)


@click.command(
    help="Brings back known bugs, one at a time, in a copy of the project, and runs the simulation on it; where that "
    "sees nothing, the property tests and those of who owns a partition. A bug that nobody notices survives, and "
    "fails the command.",
    epilog="The last line is `mutants: N bugs, C caught, S survived`; exit 0 only when S is 0. "
    "The bugs are in tests/mutants/bugs.yml.",
)
@click.option("--seeds", default=600, show_default=True, help="Simulated lives a bug, at most; the first failure ends.")
@click.option("--only", default="", help="Only bugs whose name contains this.")
def main(seeds: int, only: str) -> None:
    """One line a bug."""
    bugs = [bug for bug in known() if only in bug.name]
    if not bugs:
        raise click.UsageError(f"no bug is called anything like {only!r}; the names are in tests/mutants/bugs.yml")
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory, _progress() as progress:
        task = progress.add_task("", total=len(bugs) + 1)
        base = _copy(Path(directory) / "base")
        progress.update(task, description="without a bug")
        noticed = _noticed(base, seeds)
        if noticed:
            click.echo(f"without any bug the proofs fail already, by {noticed}: mend that first", err=True)
            sys.exit(1)
        progress.advance(task)
        survivors = 0
        for number, bug in enumerate(bugs):
            progress.update(task, description=bug.name)
            started_s = time.monotonic()
            noticed = _noticed(_with_bug(bug, base, Path(directory) / str(number)), seeds)
            survivors += not noticed
            told = f"caught by {noticed}" if noticed else "SURVIVED"
            line = f"{told:34} {time.monotonic() - started_s:5.1f} s  {bug.name}"
            progress.console.print(line, highlight=False, soft_wrap=True)
            progress.advance(task)
    click.echo(f"mutants: {len(bugs)} bugs, {len(bugs) - survivors} caught, {survivors} survived")
    sys.exit(1 if survivors else 0)


def _copy(directory: Path) -> Path:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, directory / name)
    return directory


def _with_bug(bug: Bug, base: Path, directory: Path) -> Path:
    shutil.copytree(base, directory, ignore=shutil.ignore_patterns("__pycache__"))
    try:
        apply(bug, directory)
    except NoSuchBugError as moved:
        click.echo(str(moved), err=True)
        sys.exit(1)
    return directory


def _noticed(project: Path, seeds: int) -> str:
    """The proof that sees that something is wrong with a project: a seed, the property tests, or none."""
    lives = _run(project, "-m", "tests.simulation", "--seeds", str(seeds))
    failed = next((line.split()[1] for line in lives.stdout.splitlines() if line.startswith("seed ")), "")
    if lives.returncode:
        return f"simulation, seed {failed}" if failed else "simulation, which does not end"
    tests = _run(project, *PROPERTIES)
    if tests.returncode == TOO_LONG:
        return "property tests, which do not end"
    return "property tests" if tests.returncode else ""


def _run(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [sys.executable, *words],
            cwd=project,
            # The bugs are in the core, which is what the kernel is held against.
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "METER_KERNEL": "off"},
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, TOO_LONG, "", "")


def _progress() -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    return Progress(*columns, console=Console(), transient=True)


if __name__ == "__main__":
    main()
