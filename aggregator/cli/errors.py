"""Errors that a person can do something about: one sentence on standard error, and an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

import click

from aggregator.clickhouse.client import ClickHouseAwayError
from aggregator.clickhouse.directory_lock import DirectoryTakenError
from aggregator.clickhouse.migrate import TablesError
from aggregator.clickhouse.read_only import QueryError
from aggregator.writer.worker import KafkaUnusableError
from schemas.environment import SettingsError
from schemas.listening import PortsTakenError

FAILED: Final = 1
_USAGE_ERROR: Final = 2


@contextmanager
def refusals() -> Iterator[None]:
    """Turn an error of the block into one sentence and an exit code: 2 for a wrong setting, 1 for what failed."""
    try:
        yield
    except SettingsError as refusal:
        _refuse(refusal, _USAGE_ERROR)
    except (
        ClickHouseAwayError,
        DirectoryTakenError,
        KafkaUnusableError,
        PortsTakenError,
        QueryError,
        TablesError,
    ) as refusal:
        _refuse(refusal, FAILED)


def _refuse(refusal: Exception, status: int) -> NoReturn:
    refused = click.ClickException(str(refusal))
    refused.exit_code = status
    raise refused from refusal
