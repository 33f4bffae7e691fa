"""What a refused command looks like, and how tests run one."""

import re
from pathlib import Path

from schemas.exit_statuses import FAILED, REFUSED, USAGE_ERROR
from tests.integration.processes import Finished, command, environment

_PROGRESS = re.compile(r"(starting|feeding|producing|metering) \.\.\.")
_ADVICE = re.compile(
    r"\b(set|give|choose|stop|start|run|create|add|check|write|unset|correct|see|install)\b", re.IGNORECASE
)


def assert_refused(done: Finished, *words: str, advice: bool = True) -> None:
    """One sentence on standard error, after any lines of progress, and nothing on standard output.

    Without `advice` it may be what ClickHouse says of a query.
    """
    said = [row for row in done.stderr.splitlines() if not _PROGRESS.fullmatch(row)]
    assert done.returncode in (FAILED, USAGE_ERROR, REFUSED), done.stderr
    assert len(said) == 1, done.stderr
    for word in words:
        assert word in said[0]
    assert not advice or _ADVICE.search(said[0]), said[0]
    assert "Traceback" not in said[0]
    assert done.stdout == ""


def meter(*words: str | Path, **variables: str) -> Finished:
    return command("meter", *map(str, words), env=environment(**variables))


def aggregator(*words: str, **variables: str) -> Finished:
    return command("aggregator", *words, env=environment(**variables))
