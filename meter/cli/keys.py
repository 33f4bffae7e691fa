"""`python -m meter keys`: make, list and revoke the API keys of the gateway."""

import sys
import time
from datetime import UTC, datetime
from typing import Final, get_args

import click
import msgspec

from meter.cli.errors import refusals
from meter.gateway.key_file import changing_keys, keys_path, read_keys
from meter.gateway.keys import MAX_KEYS, ApiKey, KeyRefusedError, KeyRole, make_key
from meter.settings import load
from schemas.exit_statuses import FAILED
from schemas.instants import rfc3339, to_ms

_ROLES: Final[dict[KeyRole, str]] = {
    "platform_admin": "everything, for all workspaces",
    "owner": "the commands of a workspace's owner",
    "admin": "the commands of a workspace's administrator",
    "runtime": "events and entitlements of a workspace",
}


@click.group("keys")
def keys_group() -> None:
    """Make, list and revoke the API keys of the gateway, in the file METER_API_KEYS_FILE.

    \b
    The file has hashes only. Running gateways read it again when it changes.
      python -m meter keys add --name console --role platform_admin
      python -m meter keys add --name "acme bots" --role runtime --workspace acme --expires 2027-01-31T00:00:00Z
      python -m meter keys list
      python -m meter keys revoke KEY_ID
    """


@keys_group.command("add", epilog="Roles: " + "; ".join(f"{role}: {may}" for role, may in _ROLES.items()) + ".")
@click.option("--name", required=True, help="What the key is for, as `keys list` shows it.")
@click.option("--role", type=click.Choice(get_args(KeyRole)), required=True, help="What the key may do.")
@click.option("--workspace", default="", help="The id of its workspace. Not for platform_admin.")
@click.option("--expires", help="The RFC 3339 time with its offset at which it ends. Default: never.")
def add_command(name: str, role: KeyRole, workspace: str, expires: str | None) -> None:
    """Make a key and print it. It is shown only now: the file has its hash."""
    with refusals():
        path = keys_path(load().meter_api_keys_file)
        now_ms = int(time.time() * 1000)
        expires_at = _expiry(expires, now_ms) if expires else None
        try:
            token, made = make_key(name, role, workspace, expires_at, now_ms)
        except KeyRefusedError as error:
            raise click.UsageError(str(error)) from error
        with changing_keys(path) as keys:
            if len(keys) >= MAX_KEYS:
                raise click.ClickException(f"{path} has {MAX_KEYS} keys, the most it can have: revoke some")
            keys.append(made)
    click.echo(token)
    click.echo(f"Keep it: it is shown only now. To end it: python -m meter keys revoke {made.key_id}", err=True)


def _expiry(text: str, now_ms: int) -> datetime:
    try:
        found = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        found = None
    if found is None or found.tzinfo is None:
        raise click.UsageError(f"--expires {text!r} is no RFC 3339 time with its offset, such as 2027-01-31T00:00:00Z")
    if to_ms(found) <= now_ms:
        raise click.UsageError(f"--expires {text!r} is in the past")
    return found.astimezone(UTC)


@keys_group.command("list")
def list_command() -> None:
    """List the keys: id, role, workspace, when made, when it ends, name."""
    with refusals():
        keys = read_keys(keys_path(load().meter_api_keys_file))
    now_ms = int(time.time() * 1000)
    for key in keys:
        click.echo(_line(key, now_ms))
    if not keys:
        click.echo("There are no keys: python -m meter keys add", err=True)


def _line(key: ApiKey, now_ms: int) -> str:
    ends = "never ends" if key.expires_at is None else f"ends {rfc3339(to_ms(key.expires_at))}"
    if key.is_expired(now_ms):
        ends = ends.replace("ends", "ended")
    return f"{key.key_id}  {key.role:14}  {key.workspace_id or '(all)'}  made {key.created_at}  {ends}  {key.name}"


@keys_group.command("revoke")
@click.argument("key_id")
def revoke_command(key_id: str) -> None:
    """Remove the key with the id KEY_ID, as `keys list` shows it. Running gateways refuse it at once."""
    with refusals():
        path = keys_path(load().meter_api_keys_file)
        with changing_keys(path) as keys:
            found = [key for key in keys if key.key_id == key_id]
            for key in found:
                keys.remove(key)
    if not found:
        click.echo(f"there is no key {key_id!r}: `python -m meter keys list` shows all", err=True)
        sys.exit(FAILED)
    click.echo(f"revoked {found[0].name}")
