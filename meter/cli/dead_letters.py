"""`python -m meter dead-letters`: what was refused, why, and putting it back."""

import asyncio
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from meter.cli import progress as show
from meter.cli.errors import FAILED, refusals
from meter.dead_letters import render as letters_show
from meter.dead_letters.inventory import Letter, LetterError, Letters, load, payloads
from meter.dead_letters.replay import Checked, Chosen, NotPutBackError, Replayer, begun, waiting
from meter.kafka import admin
from meter.kafka.topics import KafkaTopics
from meter.settings import Settings
from meter.settings import load as load_settings
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, to_ms
from schemas.topics import CHAT_EVENTS, WALLET_INPUTS

TABLE_LIMIT: Final = 50

_UNITS_MS: Final = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}


class _Since(click.ParamType):
    name = "SINCE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        if found := re.fullmatch(r"([0-9]{1,6})([mhd])", text):
            return int(time.time() * 1000) - int(found[1]) * _UNITS_MS[found[2]]
        try:
            instant = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r} is no time: give 90m, 24h, 7d, 2026-11-20 or 2026-11-20T10:00:00Z", param, ctx)
        return to_ms(instant if instant.tzinfo else instant.replace(tzinfo=UTC))


@click.group("dead-letters")
def dead_letters_group() -> None:
    """Look at refused records, mend them, and put them back.

    \b
    A letter's id is where the refused record lay: TOPIC/PARTITION/OFFSET.
      python -m meter dead-letters list --since 24h
      python -m meter dead-letters show chat-events/3/2238
      python -m meter dead-letters show chat-events/3/2238 --raw > mended.json
      python -m meter dead-letters replay chat-events/3/2238 --file mended.json
    """


@dead_letters_group.command("list")
@click.option("--code", help="Only those with this code.")
@click.option("--topic", type=click.Choice([CHAT_EVENTS.name, WALLET_INPUTS.name]), help="Only those from this topic.")
@click.option("--since", "since_ms", type=_Since(), help="Only those refused since: 90m, 24h, 7d, or a time.")
@click.option(
    "--limit", type=click.IntRange(min=1), help=f"At most so many, the newest. Default: {TABLE_LIMIT} in a table."
)
@click.option("--format", "output_format", type=click.Choice(["table", "json"]), default="table", show_default=True)
def list_command(
    code: str | None, topic: str | None, since_ms: int | None, limit: int | None, output_format: str
) -> None:
    """Show the dead letters, the newest last; as JSON one a line.

    \b
    status: waiting        nobody has put it back
            begun          somebody began to and has not finished: replay finishes it
            replayed       put back, at the location that is shown
            refused again  put back, and what was put back is a dead letter itself
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
        letters_show.table(letters, shown, len(fit) - len(shown))
    else:
        for each in shown:
            sys.stdout.buffer.write(letters_show.line(letters, each) + b"\n")


@dead_letters_group.command("show")
@click.argument("letter_id", metavar="ID")
@click.option("--raw", is_flag=True, help="Write the refused bytes as they are, and nothing else.")
def show_command(letter_id: str, raw: bool) -> None:
    """Show all about one dead letter: why, when, what has become of it, and what it holds."""
    with refusals():
        settings = load_settings()
        letters = _load(settings)
        letter = letters.get(letter_id)
        value = asyncio.run(payloads(settings.kafka_bootstrap_servers, [letter]))[letter_id]
        if raw and value is None:
            raise LetterError(f"{letter_id} had no value, so there is nothing to write: see show without --raw")
    if raw:
        sys.stdout.buffer.write(value or b"")
    else:
        click.echo(letters_show.details(letters, letter, value))


@dead_letters_group.command("replay")
@click.argument("letter_id", metavar="ID", required=False)
@click.option(
    "--file", "mended", type=click.Path(path_type=Path), help="Its mended bytes; else it is put back as it is."
)
@click.option("--code", help="With --all: only those with this code.")
@click.option("--all", "every", is_flag=True, help="Every letter of --code that nobody has put back, as it is.")
@click.option("--dry-run", is_flag=True, help="Check everything and write nothing.")
@click.option("--force", is_flag=True, help="Put back what is late: only after METER_LATE_HORIZON_H was raised.")
def replay_command(
    letter_id: str | None, mended: Path | None, code: str | None, every: bool, dry_run: bool, force: bool
) -> None:
    """Put a dead letter back on the topic that it came from, once.

    It is read first as the meter reads it, and refused here if it would be refused again. Mend the fields that are
    named and keep the id: by its id an event is billed once, however often it comes. As it is, without --file, a
    letter is put back after its cause was cured.

    Time cannot be cured. An event more than the late horizon (24 h) behind the newest one is late, and stays late; it
    is put back with --force only, for when the workers have been given a longer horizon since. A future event can be
    put back once its time has come, and then within the horizon. Account commands are never late.

    A letter that was put back is not put back again. If what was put back was refused in turn, its own letter is, by
    either id. A replay that broke off is finished by giving the command again, without --file.
    """
    if (letter_id is None) is (not every) or (every and (code is None or mended)) or (letter_id and code):
        raise click.UsageError("say which: give one ID, with or without --file; or --code CODE --all")
    with refusals():
        settings = load_settings()
        value = None if mended is None else _mended(mended)
        letters = _load(settings)
        found = [letters.get(letter_id)] if letter_id else _every(letters, str(code))
        left = asyncio.run(_replay(settings, letters, found, value, one=not every, dry_run=dry_run, force=force))
    if left:
        sys.exit(FAILED)


def _every(letters: Letters, code: str) -> list[Letter]:
    """Those of a code that wait, in the order in which they were refused."""
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


async def _replay(
    settings: Settings,
    letters: Letters,
    found: list[Letter],
    value: bytes | None,
    *,
    one: bool,
    dry_run: bool,
    force: bool,
) -> int:
    """Put back what can be; returns how many of several could not. Of one the reason is raised."""
    log = KafkaTopics(settings.kafka_bootstrap_servers, idempotent=settings.kafka_idempotent)
    await log.start()
    try:
        replayer = Replayer(settings, log, force=force)
        checked, refused = await _checked(settings, replayer, letters, found, value)
        if one and refused:
            raise refused[0]
        if dry_run:
            for each in checked:
                click.echo(f"{each.letter.letter_id} would be put back on {each.topic.name}")
        else:
            refused += await _put_back(replayer, checked, letters)
    finally:
        await log.stop()
    if one and refused:
        raise refused[0]
    for reason in refused:
        click.echo(f"left: {reason}", err=True)
    return len(refused)


async def _checked(
    settings: Settings, replayer: Replayer, letters: Letters, found: list[Letter], value: bytes | None
) -> tuple[list[Checked], list[NotPutBackError]]:
    """What can be put back, and why the others cannot. What an earlier replay claimed goes with its own bytes."""
    checked: list[Checked] = []
    refused: list[NotPutBackError] = []
    bytes_of = await payloads(settings.kafka_bootstrap_servers, [letters.last_of(each) for each in found])
    for asked in found:
        try:
            letter = waiting(letters, asked)
            again = begun(letters, letter, value)
            original = bytes_of[letter.letter_id]
            chosen = Chosen(letter, original if value is None else value, original)
            checked.append(again or await replayer.check(chosen))
        except NotPutBackError as reason:
            refused.append(reason)
    return checked, refused


async def _put_back(replayer: Replayer, checked: list[Checked], letters: Letters) -> list[NotPutBackError]:
    refused: list[NotPutBackError] = []
    with show.progress() as progress:
        progress.phase("replaying", len(checked))
        async for told in replayer.put_back(checked, letters.replays):
            progress.advance(1)
            if isinstance(told, NotPutBackError):
                refused.append(told)
            else:
                click.echo(f"{told.letter.letter_id} put back as {told.location}")
    return refused
