"""`python -m tests.golden`: writes the golden files of the present formats again."""

import asyncio

import click

from tests.golden.writing import directory, written


@click.command(
    help="Writes what this version writes into tests/golden, in a directory named after the numbers of its formats "
    "(schemas/formats.py). Raise a number first if an older version could not read the change whole."
)
def main() -> None:
    """One line a file."""
    directory().mkdir(exist_ok=True)
    for name, content in asyncio.run(written()).items():
        path = directory() / name
        path.write_text(content, "utf-8")
        click.echo(f"{path}: {len(content):,} characters")


if __name__ == "__main__":
    main()
