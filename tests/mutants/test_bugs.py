"""The known bugs fit the code as it is, so that none of them is left out by a change that was not noticed."""

import shutil
from pathlib import Path

import pytest

from tests.mutants.bugs import Bug, NoSuchBugError, apply, known

ROOT = Path(__file__).resolve().parents[2]


def copied(bug: Bug, project: Path) -> Path:
    """The one file that a bug changes, in a project of its own."""
    (project / bug.file).parent.mkdir(parents=True)
    return Path(shutil.copy(ROOT / bug.file, project / bug.file))


@pytest.mark.parametrize("bug", known(), ids=lambda bug: bug.name)
def test_a_bug_fits_the_code(bug: Bug, tmp_path: Path) -> None:
    """It changes something, and what comes out can be compiled."""
    path = copied(bug, tmp_path)
    before = path.read_text("utf-8")
    apply(bug, tmp_path)
    assert path.read_text("utf-8") != before
    compile(path.read_text("utf-8"), bug.file, "exec")


def test_a_bug_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    """It would be tried on code without a bug, and be said to survive."""
    bug = known()[0]
    copied(bug, tmp_path)
    apply(bug, tmp_path)
    with pytest.raises(NoSuchBugError, match="stands 0 times"):
        apply(bug, tmp_path)
