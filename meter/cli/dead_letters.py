"""`python -m meter dead-letters`: list refused records, show one, put them back."""

import asyncio
import sys
from pathlib import Path
from typing import Final

import click

from meter.cli.errors import refusals
from meter.cli.replay_letters import replay_letters
from meter.cli.since import Since
from meter.dead_letters import render
from meter.dead_letters.inventory import Letter, LetterError, Letters, load
from meter.dead_letters.originals import originals
from meter.kafka import admin
from meter.settings import Settings
from meter.settings import load as load_settings
from schemas.exit_statuses import FAILED
from schemas.topics import ACCOUNT_COMMANDS, CHAT_EVENTS, WALLET_INPUTS

TABLE_LIMIT: Final = 50
"""How many letters a table shows unless --limit is given."""


@click.group("dead-letters")
def dead_letters_group() -> None:
    """Show refused records, and put them back, mended or as they are.

    \b
    A letter's id is the location of the refused record: TOPIC/PARTITION/OFFSET.
      python -m meter dead-letters list --since 24h
      python -m meter dead-letters show chat-events/3/2238
      python -m meter dead-letters show chat-events/3/2238 --raw > mended.json
      python -m meter dead-letters replay chat-events/3/2238 --file mended.json
    """


@dead_letters_group.command("list")
@click.option("--code", help="Only letters with this code.")
@click.option(
    "--topic",
    type=click.Choice([CHAT_EVENTS.name, ACCOUNT_COMMANDS.name, WALLET_INPUTS.name]),
    help="Only letters from this topic.",
)
@click.option("--since", "since_ms", type=Since(), help="Only letters refused since then: 90m, 24h, 7d, or a time.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help=f"At most this many, the newest. Default: {TABLE_LIMIT} in a table, all as JSON.",
)
@click.option("--format", "output_format", type=click.Choice(["table", "json"]), default="table", show_default=True)
def list_command(
    code: str | None, topic: str | None, since_ms: int | None, limit: int | None, output_format: str
) -> None:
    """List the dead letters, the newest last. As JSON, each is one line.

    \b
    status: waiting        not put back
            begun          a replay began and has not finished: replay finishes it
            replayed       put back, at the location that show gives
            refused again  put back, and refused again: that record is a dead letter too
    """
    with refusals():
        letters = _load(load_settings())
    fit = [
        each
        for each in sorted(letters.by_id.values(), key=lambda each: (each.refused_ms, each.letter_id))
        if code in (None, each.code) and topic in (None, each.topic) and each.refused_ms >= (since_ms or 0)
    ]
    limit = limit or (TABLE_LIMIT if output_format == "table" else len(fit))
    shown = fit[max(0, len(fit) - limit) :]
    if output_format == "table":
        render.table(letters, shown, len(fit) - len(shown))
    else:
        for each in shown:
            sys.stdout.buffer.write(render.line(letters, each) + b"\n")


@dead_letters_group.command("show")
@click.argument("letter_id", metavar="ID")
@click.option("--raw", is_flag=True, help="Write the refused bytes unchanged, and nothing else.")
def show_command(letter_id: str, raw: bool) -> None:
    """Show one dead letter: why and when it was refused, its status, and its payload."""
    with refusals():
        settings = load_settings()
        letters = _load(settings)
        letter = letters.get(letter_id)
        original = asyncio.run(originals(settings.kafka_bootstrap_servers, [letter]))[letter_id]
        if raw and original.value is None:
            raise LetterError(f"{letter_id} had no value, so there is nothing to write: see show without --raw")
        if raw and original.is_shortened and render.is_cut(original, "value"):
            raise LetterError(f"{render.lost(original)}, so its bytes cannot be written: see show without --raw")
    if raw:
        sys.stdout.buffer.write(original.value or b"")
    else:
        click.echo(render.details(letters, letter, original))


@dead_letters_group.command("replay")
@click.argument("letter_id", metavar="ID", required=False)
@click.option("--file", "mended", type=click.Path(path_type=Path), help="The mended bytes. Default: the refused bytes.")
@click.option("--code", help="With --all: the code of the letters.")
@click.option("--all", "every", is_flag=True, help="Put back every letter of --code that waits, as it is.")
@click.option("--dry-run", is_flag=True, help="Check everything, and write nothing.")
@click.option(
    "--force",
    is_flag=True,
    help="Put back late events too, for a late horizon that now reaches back to them.",
)
@click.option(
    "--without-headers",
    is_flag=True,
    help="Put back letters whose Kafka headers are not whole, or too large, without any. Others keep theirs.",
)
def replay_command(
    letter_id: str | None,
    mended: Path | None,
    code: str | None,
    every: bool,
    dry_run: bool,
    force: bool,
    without_headers: bool,
) -> None:
    """Put a dead letter back, once: an event on chat-events, an account command on wallet-inputs.

    The command first reads the record as the meter does, and refuses it if the meter would refuse it again. In the
    mended file, correct the fields that the reason names, and keep the id: an event is billed once by its id, however
    often it is written. Without --file the refused bytes are put back, which helps after another cause was removed.

    An event more than the late horizon (24 h) behind the newest event is late, and stays late. Only --force puts it
    back, for workers that have a longer horizon now. A future event can be put back once its time has come, until it
    is late. Account commands are never late.

    The record gets its Kafka headers back, all of them or, with --without-headers, none. A letter that could not hold
    its record is put back from where the record lies, as long as it lies there.

    A letter is put back once. If the new record is refused again, it has a letter of its own, and the command puts
    that one back, by either id. To finish a replay that broke off, give the command again without --file.
    """
    if (letter_id is None) is (not every) or (every and (code is None or mended)) or (letter_id and code):
        raise click.UsageError("say which: give one ID, with or without --file; or --code CODE --all")
    with refusals():
        settings = load_settings()
        value = None if mended is None else _mended(mended)
        letters = _load(settings)
        found = [letters.get(letter_id)] if letter_id else _every(letters, str(code))
        flags = {"one": not every, "dry_run": dry_run, "force": force, "without_headers": without_headers}
        left = asyncio.run(replay_letters(settings, letters, found, value, **flags))
    if left:
        sys.exit(FAILED)


def _every(letters: Letters, code: str) -> list[Letter]:
    """Return the letters of a code that can be put back, oldest first. Raises LetterError if there are none."""
    found = [each for each in letters.by_id.values() if each.code == code]
    found = [each for each in found if letters.status(each.letter_id) in ("waiting", "begun")]
    if not found:
        raise LetterError(
            f"no dead letter of code {code} waits to be put back: see `python -m meter dead-letters list`"
        )
    return sorted(found, key=lambda each: (each.refused_ms, each.topic, each.partition, each.offset))


def _mended(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise LetterError(f"{path} cannot be read: {error.strerror}. Give the path of the mended bytes.") from error


def _load(settings: Settings) -> Letters:
    asyncio.run(admin.require_topics(settings.kafka_bootstrap_servers))
    return asyncio.run(load(settings.kafka_bootstrap_servers))
