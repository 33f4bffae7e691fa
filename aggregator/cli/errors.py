"""Errors that a user can correct: printed as one sentence on standard error, with an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

import click

from aggregator.clickhouse.client import ClickHouseAwayError
from aggregator.clickhouse.directory_lock import DirectoryTakenError
from aggregator.clickhouse.migrate import TablesError
from aggregator.clickhouse.read_only import QueryError
from aggregator.kafka.survey import KafkaUnusableError
from aggregator.rebuild.rebuild import RebuildError
from aggregator.writer.start import HoldingsError
from schemas.codecs import CodecsMissingError
from schemas.environment import SettingsError
from schemas.listening import PortsTakenError

FAILED: Final = 1
"""The exit code of a command that failed, or that found differences."""

_USAGE_ERROR: Final = 2


@contextmanager
def refusals() -> Iterator[None]:
    """Turn an error that a user can correct into click's: exit code 2 for a wrong setting, 1 for any other failure.

    Other exceptions of the block pass through: they are bugs and need their traceback.
    """
    try:
        yield
    except SettingsError as refusal:
        _refuse(refusal, _USAGE_ERROR)
    except (
        ClickHouseAwayError,
        CodecsMissingError,
        DirectoryTakenError,
        HoldingsError,
        KafkaUnusableError,
        PortsTakenError,
        QueryError,
        RebuildError,
        TablesError,
    ) as refusal:
        _refuse(refusal, FAILED)


def _refuse(refusal: Exception, status: int) -> NoReturn:
    refused = click.ClickException(str(refusal))
    refused.exit_code = status
    raise refused from refusal
