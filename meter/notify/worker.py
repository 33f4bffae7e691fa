"""`python -m meter notify`: reads notices and sends them as mails and webhooks, until stopped."""

import asyncio
import logging
import signal
from collections.abc import Callable
from pathlib import Path

from meter.kafka.topics import KafkaTopics
from meter.notify.deliverer import Deliverer
from meter.notify.endpoints import read_endpoints
from meter.notify.mail import DirectoryOutlet, SmtpOutlet
from meter.notify.outlets import Outlet
from meter.notify.reading import NoticeReader
from meter.notify.receipts import Receipts, reading
from meter.notify.sender import sender_of
from meter.notify.smtp_url import parse
from meter.notify.webhooks import WebhookOutlet
from meter.settings import Settings
from schemas.environment import SettingsError
from schemas.instants import HOUR_MS

logger = logging.getLogger(__name__)


def outlets(settings: Settings) -> list[Outlet]:
    """Return the outlets that the settings name, at least one. Raises SettingsError."""
    found: list[Outlet] = []
    if settings.meter_smtp_url and settings.meter_mail_dir:
        raise SettingsError(
            "METER_SMTP_URL and METER_MAIL_DIR are both set, and mails can go only one way: unset one of them"
        )
    if settings.meter_smtp_url:
        found.append(SmtpOutlet(parse(settings.meter_smtp_url), sender_of(settings)))
    if settings.meter_mail_dir:
        found.append(DirectoryOutlet(Path(settings.meter_mail_dir), sender_of(settings)))
    if settings.meter_webhooks_file:
        found += [WebhookOutlet(each) for each in read_endpoints(Path(settings.meter_webhooks_file))]
    if not found:
        raise SettingsError(
            "there is nowhere to send notices to: set METER_SMTP_URL to a mail server, METER_WEBHOOKS_FILE to a file "
            "with endpoints, or METER_MAIL_DIR to a directory for a trial"
        )
    return found


async def run(settings: Settings, ways: list[Outlet], on_ready: Callable[[], None]) -> None:
    """Run until SIGTERM or SIGINT. `on_ready` is called once all outlets have partitions, or know that none is left.

    Raises TopicsError, KafkaConnectionError, NewerFormatError, or what is a bug.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    topics = KafkaTopics(settings.kafka_bootstrap_servers, idempotent=settings.kafka_idempotent)
    receipts = Receipts(topics, reading(settings.kafka_bootstrap_servers))
    readers = [NoticeReader(settings, _deliverer(settings, each, receipts), receipts) for each in ways]
    try:
        await topics.start()
        await asyncio.gather(*(each.start() for each in readers))
        await _run(readers, stop, on_ready)
    finally:
        await asyncio.gather(*(each.stop() for each in readers), return_exceptions=True)
        await topics.stop()
        receipts.close()


def _deliverer(settings: Settings, outlet: Outlet, receipts: Receipts) -> Deliverer:
    return Deliverer(
        outlet,
        receipts,
        retry_s=settings.meter_notify_retry_h * 3600,
        max_age_ms=int(settings.meter_notice_max_age_h * HOUR_MS),
    )


async def _run(readers: list[NoticeReader], stop: asyncio.Event, on_ready: Callable[[], None]) -> None:
    """Run the readers. The first that fails ends all of them."""

    async def ready() -> None:
        for each in readers:
            await each.assigned.wait()
        on_ready()

    tasks = [asyncio.create_task(each.run(stop)) for each in readers]
    waiting = asyncio.create_task(ready())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        stop.set()
        await asyncio.gather(*tasks)
    finally:
        waiting.cancel()
