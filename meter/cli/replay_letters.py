"""The work of `python -m meter dead-letters replay`: which letters can be put back, and what became of each."""

import click

from meter.cli.progress import show_progress
from meter.dead_letters.inventory import Letter, Letters
from meter.dead_letters.originals import originals
from meter.dead_letters.replay import Checked, Chosen, NotPutBackError, Replayer, begun, waiting
from meter.dead_letters.whole import headers_to_put_back, value_to_put_back
from meter.kafka.policies import policy_in_force
from meter.kafka.topics import KafkaTopics
from meter.settings import Settings


async def replay_letters(
    settings: Settings,
    letters: Letters,
    found: list[Letter],
    value: bytes | None,
    *,
    one: bool,
    dry_run: bool,
    force: bool,
    without_headers: bool = False,
) -> int:
    """Put back the letters `found`, and return how many of several could not be put back.

    Prints the reason of each of them. If only one letter was asked for, raises the reason instead.
    """
    topics = KafkaTopics(settings.kafka_bootstrap_servers, idempotent=settings.kafka_idempotent)
    await topics.start()
    try:
        policy = await policy_in_force(settings.kafka_bootstrap_servers, settings.policy())
        replayer = Replayer(settings, topics, force=force, policy=policy)
        checked, refused = await _checked(settings, replayer, letters, found, value, without_headers=without_headers)
        if one and refused:
            raise refused[0]
        if dry_run:
            for each in checked:
                click.echo(f"{each.letter.letter_id} would be put back on {each.topic.name}")
        else:
            refused += await _put_back(replayer, checked, letters)
    finally:
        await topics.stop()
    if one and refused:
        raise refused[0]
    for reason in refused:
        click.echo(f"left: {reason}", err=True)
    return len(refused)


async def _checked(
    settings: Settings,
    replayer: Replayer,
    letters: Letters,
    found: list[Letter],
    value: bytes | None,
    *,
    without_headers: bool,
) -> tuple[list[Checked], list[NotPutBackError]]:
    """Return the letters that can be put back, and the reasons why the others cannot.

    `value` are mended bytes; None puts back the refused ones. `without_headers` lets those pass whose headers are not
    whole, or are too large. A letter that is claimed goes with the claimed bytes.
    """
    checked: list[Checked] = []
    refused: list[NotPutBackError] = []
    records = await originals(settings.kafka_bootstrap_servers, [letters.last_of(each) for each in found])
    for asked in found:
        try:
            letter = waiting(letters, asked)
            original = records[letter.letter_id]
            again = begun(letters, letter, value, original.source_headers)
            if again is None:
                bytes_ = value_to_put_back(letter, original, value)
                headers = headers_to_put_back(letter, original, bytes_, without=without_headers)
                again = await replayer.check(Chosen(letter, bytes_, original.value, headers))
            checked.append(again)
        except NotPutBackError as reason:
            refused.append(reason)
    return checked, refused


async def _put_back(replayer: Replayer, checked: list[Checked], letters: Letters) -> list[NotPutBackError]:
    refused: list[NotPutBackError] = []
    with show_progress() as progress:
        progress.phase("replaying", len(checked))
        async for outcome in replayer.put_back(checked, letters.replays):
            progress.advance(1)
            if isinstance(outcome, NotPutBackError):
                refused.append(outcome)
            else:
                click.echo(f"{outcome.letter.letter_id} put back as {outcome.location}")
    return refused
