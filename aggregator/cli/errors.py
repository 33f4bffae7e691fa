"""Errors that a user can correct: printed as one sentence on standard error, with an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from aggregator.clickhouse.client import ClickHouseAwayError
from aggregator.clickhouse.directory_lock import DirectoryTakenError
from aggregator.clickhouse.migrate import NewerTablesError, TablesError
from aggregator.clickhouse.read_only import QueryError
from aggregator.core.records import UnusableUpdateError
from aggregator.kafka.survey import KafkaUnusableError, TopicsUnevenError
from aggregator.rebuild.rebuild import RebuildError
from aggregator.writer.start import HoldingsError
from schemas.codecs import CodecsMissingError
from schemas.environment import SettingsError
from schemas.exit_statuses import FAILED, REFUSED, USAGE_ERROR
from schemas.formats import NewerFormatError
from schemas.listening import PortsTakenError


@contextmanager
def refusals() -> Iterator[None]:
    """Turn an error that a user can correct into click's, with one of the codes in `schemas/exit_statuses.py`.

    A wrong setting is a usage error. What only an operator can mend is a refusal. Other exceptions of the block pass
    through: they are bugs and need their traceback.
    """
    try:
        yield
    except SettingsError as refusal:
        _refuse(refusal, USAGE_ERROR)
    except (
        CodecsMissingError,
        HoldingsError,
        NewerFormatError,
        NewerTablesError,
        TopicsUnevenError,
        UnusableUpdateError,
    ) as refusal:
        _refuse(refusal, REFUSED)
    except (
        ClickHouseAwayError,
        DirectoryTakenError,
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
