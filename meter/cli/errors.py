"""Errors that a user can solve: printed as one sentence on standard error, with an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

import click
from aiokafka.errors import KafkaConnectionError, KafkaError

from meter.dead_letters.inventory import LetterError
from meter.ingest.feed_lines import FeedError
from meter.kafka import admin
from meter.kafka.layouts import LayoutError
from meter.kafka.policies import PolicyError
from meter.kafka.topics import TopicsError
from meter.local import processes
from meter.local.broker import EmbeddedBrokerError
from meter.operations.cluster import OperationError
from meter.settings import load
from schemas.codecs import CodecsMissingError
from schemas.environment import SettingsError
from schemas.exit_statuses import REFUSED
from schemas.listening import PortsTakenError

FAILED: Final = 1
"""The exit code of a command that could not do its work, or not all of it."""

_USAGE_ERROR: Final = 2
_STOPPED: Final = 130


@contextmanager
def refusals() -> Iterator[None]:
    """Turn such an error of the block into click's: exit code 2 for a wrong setting or feed, REFUSED where a
    repartition has to come to its end first, 1 for any other failure.

    `Stopped`, after SIGTERM or Ctrl-C, becomes exit code 130. Other exceptions pass through: they are bugs and need
    their traceback.
    """
    try:
        yield
    except (SettingsError, FeedError) as refusal:
        _refuse(refusal, _USAGE_ERROR)
    except KafkaConnectionError as refusal:
        _refuse(admin.broker_away(load().kafka_bootstrap_servers), FAILED, refusal)
    except (
        admin.BrokerAwayError,
        admin.TopicsDifferError,
        admin.TopicsMissingError,
        CodecsMissingError,
        LetterError,
        OperationError,
        PolicyError,
        TopicsError,
        PortsTakenError,
        processes.RunError,
        EmbeddedBrokerError,
        KafkaError,
    ) as refusal:
        _refuse(refusal, FAILED)
    except LayoutError as refusal:
        _refuse(refusal, REFUSED)
    except processes.Stopped:
        raise SystemExit(_STOPPED) from None


def _refuse(refusal: Exception, status: int, cause: Exception | None = None) -> NoReturn:
    refused = click.ClickException(str(refusal))
    refused.exit_code = status
    raise refused from cause
