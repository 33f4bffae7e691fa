"""`python -m meter notify`: the program that sends notices."""

import asyncio
import logging
import sys

import click

from meter.cli.errors import refusals
from meter.kafka import admin
from meter.settings import load
from schemas.codecs import require_codecs
from schemas.exit_statuses import CRASHED
from schemas.formats import NewerFormatError
from schemas.repeated_lines import bound_repeated_lines


@click.command("notify")
def notify_command() -> None:
    """Send notices as mails and as signed webhooks, until stopped (SIGTERM, Ctrl-C).

    \b
    Set at least one of these:
      METER_SMTP_URL       smtps://USER:PASSWORD@HOST, smtp+starttls://..., smtp://HOST
      METER_WEBHOOKS_FILE  a YAML or JSON file: a list of endpoints, each with name,
                           url, secret or secret_file, and if wanted workspace_id
                           and templates
      METER_MAIL_DIR       instead of METER_SMTP_URL: mails become .eml files

    Mail and each endpoint have a consumer group of their own, so none waits for another. Any number of these programs
    can run, up to the number of partitions. What was sent is on the topic deliveries:

    \b
      python -m meter notices deliveries --failed
      python -m meter notices replay NOTICE_ID
    """
    # The libraries for mails, webhooks and templates are loaded here, so that workers do not have them in memory.
    from aiokafka.errors import KafkaError

    from meter.kafka.topics import TopicsError
    from meter.notify import metrics, worker

    with refusals():
        settings = load()
        ways = worker.outlets(settings)
        require_codecs()
        for warning in asyncio.run(admin.require_fitting_topics(settings.kafka_bootstrap_servers)).warnings:
            click.echo(f"Warning: {warning}", err=True)
        logging.basicConfig(level=settings.meter_log_level, stream=sys.stderr)
        bound_repeated_lines()
        logging.getLogger("aiokafka").setLevel(logging.NOTSET)
        url = metrics.serve(settings.metrics_host, settings.metrics_port)
        try:
            asyncio.run(worker.run(settings, ways, lambda: click.echo(f"notify ready, metrics at {url}")))
        except (KafkaError, NewerFormatError, TopicsError):
            raise
        except Exception:
            logging.getLogger(__name__).critical("notify failed; ending", exc_info=True)
            sys.exit(CRASHED)
