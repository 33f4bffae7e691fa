"""Errors that a user can solve: printed as one sentence on standard error, with an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click
from aiokafka.errors import KafkaConnectionError, KafkaError

from meter.dead_letters.inventory import LetterError
from meter.gateway.key_file import KeysUnreadableError
from meter.ingest.feed_lines import FeedError
from meter.kafka import admin
from meter.kafka.layouts import LayoutError
from meter.kafka.policies import PolicyError
from meter.kafka.topics import ProducerRefusedError, TopicsError
from meter.local import processes
from meter.local.broker import EmbeddedBrokerError
from meter.notify.replay import ReplayError
from meter.operations.cluster import OperationError
from meter.payments.gateway import GatewayRefusedError
from meter.settings import load
from schemas.codecs import CodecsMissingError
from schemas.environment import SettingsError
from schemas.exit_statuses import FAILED, REFUSED, STOPPED, USAGE_ERROR
from schemas.formats import NewerFormatError
from schemas.listening import PortsTakenError


@contextmanager
def refusals() -> Iterator[None]:
    """Turn such an error of the block into click's, with one of the codes in `schemas/exit_statuses.py`.

    A wrong setting or feed is a usage error. What only an operator can mend is a refusal. `Stopped` comes after SIGTERM
    or Ctrl-C. Other exceptions pass through: they are bugs and need their traceback.
    """
    try:
        yield
    except (SettingsError, FeedError) as refusal:
        _refuse(refusal, USAGE_ERROR)
    except (
        admin.TopicsDifferError,
        CodecsMissingError,
        GatewayRefusedError,
        LayoutError,
        NewerFormatError,
        ProducerRefusedError,
        processes.RefusedError,
    ) as refusal:
        _refuse(refusal, REFUSED)
    except KafkaConnectionError as refusal:
        _refuse(admin.broker_away(load().kafka_bootstrap_servers), FAILED, refusal)
    except (
        admin.BrokerAwayError,
        admin.TopicsMissingError,
        LetterError,
        OperationError,
        PolicyError,
        ReplayError,
        TopicsError,
        PortsTakenError,
        processes.RunError,
        EmbeddedBrokerError,
        KafkaError,
        KeysUnreadableError,
    ) as refusal:
        _refuse(refusal, FAILED)
    except processes.Stopped:
        raise SystemExit(STOPPED) from None


def _refuse(refusal: Exception, status: int, cause: Exception | None = None) -> NoReturn:
    refused = click.ClickException(str(refusal))
    refused.exit_code = status
    raise refused from cause
