"""`python -m meter gateway`: events, commands and entitlements over HTTP."""

import asyncio

import click

from meter import metrics
from meter.cli.errors import refusals
from meter.kafka import admin
from meter.settings import load
from schemas.codecs import require_codecs


@click.command("gateway")
def gateway_command() -> None:
    """Serve HTTP for bot runtimes and consoles, until stopped (SIGTERM, Ctrl-C).

    \b
    POST /v1/events                              chat events: one, an array, or one a line
    POST /v1/commands                            account commands; `Prefer: wait=5` gets the outcome
    GET  /v1/commands/ID?source=SOURCE           the outcome of a command
    GET  /v1/entitlements/WORKSPACE_ID/BOT_ID    what a bot may do now
    GET  /v1/entitlements/stream                 as it changes (server-sent events)
    GET  /openapi.json  /livez  /readyz

    Each request has `Authorization: Bearer KEY`. Make a key with `python -m meter keys add`; set METER_API_KEYS_FILE
    for both. The gateway speaks plain HTTP: where others can reach it, put a proxy with TLS before it. Any number of
    gateways can run. Stop them before `python -m meter repartition`.
    """
    # The web framework is loaded here, so that workers do not have it in memory.
    from meter.gateway.server import run

    with refusals():
        settings = load()
        require_codecs()
        asyncio.run(admin.require_topics(settings.kafka_bootstrap_servers))
        url = metrics.serve(settings.metrics_host, settings.metrics_port)
        run(settings, lambda address: click.echo(f"gateway at {address}\nmeter ready, metrics at {url}"))
