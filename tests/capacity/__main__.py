"""`python -m tests.capacity`: bytes of memory for each part of a partition's state, as docs/performance.md has them."""

import click

from tests.capacity.ids import id_bytes
from tests.capacity.wallets import live_bytes, quiet_bytes


@click.command()
@click.option("--ids", default=1_000_000, show_default=True, help="Ids of accepted events in the kernel.")
@click.option("--workspaces", default=4_000, show_default=True, help="Workspaces in the charger.")
def main(ids: int, workspaces: int) -> None:
    """Prints a line for each part."""

    def say(part: str, size_bytes: float) -> None:
        click.echo(f"{part}: {size_bytes:.1f} bytes")

    say("id, events 10 ms apart", id_bytes(ids, 10))
    say("id, one event in 50 two hours late", id_bytes(ids, 10, late_every=50))
    say("quiet workspace, provisioned", quiet_bytes(workspaces, created=False))
    say("quiet workspace, created by a command, with one purchase", quiet_bytes(workspaces, created=True))
    few, many = live_bytes(workspaces // 4, 3), live_bytes(workspaces // 4, 23)
    each = (many - few) / 20
    say("billed conversation", each)
    say("live workspace with a day of three bots, without its conversations", few - 3 * each)


if __name__ == "__main__":
    main()
