"""`python -m tests.capacity`: bytes of memory for each part of a partition's state. Compare with docs/performance.md."""

import click

from tests.capacity.ids import id_bytes
from tests.capacity.wallets import live_bytes, quiet_bytes


@click.command()
@click.option(
    "--ids", default=1_000_000, show_default=True, help="Ids of accepted events, and half of them for growth."
)
@click.option("--workspaces", default=2_000, show_default=True)
def main(ids: int, workspaces: int) -> None:
    """Prints a line for each part."""
    click.echo(f"id, events 10 ms apart: {id_bytes(ids, 10):.1f} bytes")
    click.echo(f"id, one event in 1,000 late: {id_bytes(ids, 10, late_every=1_000):.1f} bytes")
    click.echo(f"id, events 1 s apart: {id_bytes(ids, 1_000):.1f} bytes")
    click.echo(f"quiet workspace, provisioned: {quiet_bytes(workspaces, created=False):.0f} bytes")
    click.echo(
        f"quiet workspace, created by a command, one purchase: {quiet_bytes(workspaces, created=True):.0f} bytes"
    )
    few, many = live_bytes(workspaces, 3), live_bytes(workspaces, 23)
    each = (many - few) / 20
    click.echo(f"billed conversation: {each:.0f} bytes")
    click.echo(f"live workspace with three bots, without its conversations: {few - 3 * each:.0f} bytes")


if __name__ == "__main__":
    main()
