"""The refused records of dead letters: from the letters, or from where they lay if the letters are shortened."""

from collections.abc import Iterable
from contextlib import aclosing

import msgspec

from meter.dead_letters.inventory import Letter, read
from meter.kafka import reader
from meter.kafka.decoding import UNREADABLE_BATCH
from schemas.dead_letters import DeadLetter
from schemas.shortened_letters import whole_of
from schemas.topics import DEAD_LETTERS, TOPICS


async def originals(bootstrap: str, letters: Iterable[Letter]) -> dict[str, DeadLetter]:
    """Read the letters again, with key, value and headers of the refused records, by letter id.

    A shortened letter is returned whole if its record still lies where it was refused; else it stays shortened, as the
    letter of a batch that cannot be read does.
    """
    found = await _letters(bootstrap, {letter.location: letter.letter_id for letter in letters})
    return {letter_id: await _completed(bootstrap, letter) for letter_id, letter in found.items()}


async def _letters(bootstrap: str, wanted: dict[tuple[int, int], str]) -> dict[str, DeadLetter]:
    """Read dead-letters from the first of these locations on, in each partition, until all are found."""
    starts: dict[int, int] = {}
    for partition, offset in wanted:
        starts[partition] = min(offset, starts.get(partition, offset))
    found: dict[str, DeadLetter] = {}
    async with aclosing(reader.records(bootstrap, DEAD_LETTERS, starts)) as records:
        async for record in records:
            letter_id = wanted.get((record.partition, record.offset))
            if letter_id is not None:
                found[letter_id] = read(record)
                if len(found) == len(wanted):
                    break
    return found


async def _completed(bootstrap: str, letter: DeadLetter) -> DeadLetter:
    topic = next((each for each in TOPICS if each.name == letter.source_topic), None)
    if letter.whole is None or topic is None or letter.code == UNREADABLE_BATCH:
        return letter
    record = await reader.one(bootstrap, topic, letter.source_partition, letter.source_offset)
    # The topic may have been deleted and created again: then another record lies there.
    if record is None or whole_of(record.key, record.value, record.headers, letter.whole.parts) != letter.whole:
        return letter
    return msgspec.structs.replace(
        letter, key=record.key, value=record.value, source_headers=tuple(record.headers), whole=None
    )
