"""`python -m meter payments`: the worker between payment requests and a payment gateway."""

import asyncio

import click

from meter import metrics
from meter.cli.errors import refusals
from meter.kafka import admin
from meter.local import processes
from meter.payments.choose_gateway import gateway_of
from meter.payments.worker import work
from meter.settings import load
from schemas.codecs import require_codecs


@click.command("payments")
def payments_command() -> None:
    """Take the payments that wallets ask for, until stopped (SIGTERM, Ctrl-C).

    METER_PAYMENTS names the gateway: `sandbox` moves no money, `stripe` takes payments by Stripe with the secret key in
    METER_STRIPE_KEY_FILE. Answers become commands for the wallets. Any number of workers can run.
    """
    with refusals():
        settings = load()
        gateway = gateway_of(settings)
        require_codecs()
        asyncio.run(admin.require_topics(settings.kafka_bootstrap_servers))
        url = metrics.serve(settings.metrics_host, settings.metrics_port)
        ready = f"payments ({settings.meter_payments}) ready, metrics at {url}"
        try:
            processes.stoppable(work(settings, gateway, lambda: click.echo(ready)))
        except processes.Stopped:
            return
