"""`python -m meter policy`: show what decides money, and change it for the whole group."""

import asyncio
import os
import sys
from typing import Any, Final

import click
import msgspec

from meter.cli.errors import refusals
from meter.core.policy import Policy, PolicyInForce
from meter.kafka import admin
from meter.kafka.layouts import agreed_layout
from meter.kafka.policies import Version, announce, begun_policies, set_policy
from meter.kafka.policy_passed import wait_passed
from meter.kafka.topics import KafkaTopics
from meter.settings import Settings, load, require_agreement
from schemas.exit_statuses import FAILED
from schemas.instants import DAY_MS, HOUR_MS, rfc3339
from schemas.policy import MAX_GRANT_LIFE_MS, MAX_HORIZON_MS, MAX_MICROS, encode_policy

_MICROS: Final = click.IntRange(0, MAX_MICROS)


def lines(policy: Policy) -> dict[str, str]:
    """The changeable values as a person reads them, by name."""
    return {
        "late horizon": f"{policy.horizon_ms / HOUR_MS:g} h",
        "unknown workspaces": policy.unknown_workspace,
        "debit order": policy.debit_order,
        "price of a conversation on Standard": f"{policy.conversation_micros:,} micro-dollars",
        "initial free grant on Standard": f"{policy.free_grant_micros:,} micro-dollars",
        "term of a free grant": f"{policy.grant_life_ms / DAY_MS:g} days",
    }


async def agreed_policy(settings: Settings, *, idempotent: bool) -> Policy:
    """Return the first version of the policy, with which every fold begins. If there is none yet, begin one.

    `idempotent` is for the producer. A worker checks with it that the broker accepts its own; the policy needs none,
    because of two records with one version the first counts.

    Raises SettingsError if a variable that is set contradicts the policy in force, LayoutError if the topics have
    another number of partitions than the state, and TopicsError if the broker does not accept a producer. Called before
    Faust starts, so that the user gets one sentence instead of a traceback.
    """
    topics = KafkaTopics(settings.kafka_bootstrap_servers, idempotent=idempotent)
    await topics.start()
    try:
        versions = await begun_policies(topics, settings.kafka_bootstrap_servers, settings.policy())
        await agreed_layout(topics)
        require_agreement(settings, versions[-1].in_force, os.environ)
        if len(versions) > 1:
            await announce(topics, versions[-1].in_force)  # `policy set` may have ended before it wrote everywhere.
        return versions[0].in_force.policy
    finally:
        await topics.stop()


@click.group("policy", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="As one line of JSON.")
@click.pass_context
def policy_group(context: click.Context, as_json: bool) -> None:
    """Show the policy: what decides money, the same for all workers.

    \b
    The policy is data in the log. A change takes effect at one place in each partition, which every replay finds again.
      python -m meter policy
      python -m meter policy set --late-horizon-h 72 --wait
    """
    if context.invoked_subcommand is not None:
        return
    with refusals():
        newest = asyncio.run(_newest(load()))
    if as_json:
        click.echo(encode_policy(newest.in_force.record()))
        return
    click.echo(f"policy version {newest.in_force.version}, set at {rfc3339(newest.set_ms)}\n")
    for name, value in lines(newest.in_force.policy).items():
        click.echo(f"  {name:37}{value}")


@policy_group.command("set")
@click.option(
    "--late-horizon-h",
    type=click.FloatRange(0, MAX_HORIZON_MS // HOUR_MS, min_open=True),
    help="How far behind the watermark an event may be, in hours.",
)
@click.option("--unknown-workspace", type=click.Choice(["provision", "hold"]), help="For one that no command created.")
@click.option("--debit-order", type=click.Choice(["free_first", "paid_first"]), help="Which credit pays first.")
@click.option("--conversation-micros", type=_MICROS, help="The price of a conversation on Standard, in micro-dollars.")
@click.option("--free-grant-micros", type=_MICROS, help="The initial grant on Standard, if the command names no other.")
@click.option(
    "--grant-life-days",
    type=click.IntRange(1, MAX_GRANT_LIFE_MS // DAY_MS),
    help="The term of a grant whose command names no expiry.",
)
@click.option("--wait", is_flag=True, help="Return when both stages have passed the change in every partition.")
@click.option("--timeout", "timeout_s", type=float, default=60.0, show_default=True, help="Seconds for --wait.")
def set_command(wait: bool, timeout_s: float, **given: Any) -> None:
    """Change the values that are named, and show each before and after.

    The change takes effect in each partition at the record that this command writes: never before, also when the
    partition is read again. Running workers follow it. Safe to repeat: the same values change nothing.
    """
    changes = _changes({name: value for name, value in given.items() if value is not None})
    if not changes:
        raise click.UsageError("nothing to change: name at least one value, such as --late-horizon-h 72")
    with refusals():
        passed = asyncio.run(_set(load(), changes, timeout_s if wait else None))
    if not passed:
        click.echo(f"not passed in every partition after {timeout_s:g} s: is a worker running?", err=True)
        sys.exit(FAILED)


def _changes(given: dict[str, Any]) -> dict[str, Any]:
    """Options to fields of Policy, in its units."""
    if "late_horizon_h" in given:
        given["horizon_ms"] = max(1, int(given.pop("late_horizon_h") * HOUR_MS))
    if "grant_life_days" in given:
        given["grant_life_ms"] = given.pop("grant_life_days") * DAY_MS
    return given


async def _set(settings: Settings, changes: dict[str, Any], timeout_s: float | None) -> bool:
    bootstrap = settings.kafka_bootstrap_servers
    await admin.require_topics(bootstrap)
    topics = KafkaTopics(bootstrap, idempotent=settings.kafka_idempotent)
    await topics.start()
    try:
        before = (await begun_policies(topics, bootstrap, settings.policy()))[-1].in_force
        wanted = msgspec.structs.replace(before.policy, **changes)
        now = before
        if wanted != before.policy:
            now = PolicyInForce(policy=wanted, version=before.version + 1, charges_held="in_slices")
            await set_policy(topics, bootstrap, now)
        offsets = await announce(topics, now)
    finally:
        await topics.stop()
    _tell(before, now)
    if timeout_s is None:
        return True
    passed = await wait_passed(bootstrap, now.version, offsets, timeout_s)
    if passed:
        click.echo("both stages have passed it in every partition")
    return passed


def _tell(before: PolicyInForce, now: PolicyInForce) -> None:
    if now.version == before.version:
        click.echo(f"nothing changes: policy version {now.version} has these values")
        return
    click.echo(f"policy version {now.version}, written to every partition")
    was = lines(before.policy)
    for name, value in lines(now.policy).items():
        if value != was[name]:
            click.echo(f"  {name}: {was[name]} -> {value}")


async def _newest(settings: Settings) -> Version:
    bootstrap = settings.kafka_bootstrap_servers
    await admin.require_topics(bootstrap)
    topics = KafkaTopics(bootstrap, idempotent=settings.kafka_idempotent)
    await topics.start()
    try:
        return (await begun_policies(topics, bootstrap, settings.policy()))[-1]
    finally:
        await topics.stop()
