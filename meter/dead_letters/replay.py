"""Putting dead letters back, each once (docs/adr/0010).

A claim with the very bytes comes first, then the record, then the receipt. The first claim on a letter in the log is
the only one that counts, whoever else tries; after a crash only its bytes can be written again, and the same bytes bill
once however often they come.
"""

import secrets
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from meter.core.decode import read
from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.dead_letters.inventory import Letter, LetterError, Letters, Replay, load_replays
from meter.kafka import reader
from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics, delivered
from meter.settings import Settings
from schemas.commands import AnyCommand
from schemas.dead_letters import REPLAY_OF
from schemas.events import ChatEvent, ClockTick, decode_event
from schemas.instants import HOUR_MS, SECOND_MS, rfc3339, to_ms
from schemas.metered import ConversationMetered, OccurrenceMetered, SafePoint, decode_wallet_input
from schemas.replays import Claim, Receipt
from schemas.topics import CHAT_EVENTS, REPLAYS, WALLET_INPUTS, Topic

PATIENCE_MS: Final = 60 * SECOND_MS
"""How long a replay without a receipt may still be at work in another process."""

TAIL_RECORDS: Final = 1_000
"""How far back the event time that a partition has reached is looked for."""

_TOPICS: Final = {topic.name: topic for topic in (CHAT_EVENTS, WALLET_INPUTS)}


class NotPutBackError(LetterError):
    """One letter is not to be put back, as things are; the message says why."""


class Chosen(NamedTuple):
    """A letter to put back, and the bytes. `refused` are those that were refused."""

    letter: Letter
    value: bytes | None
    refused: bytes | None


class Checked(NamedTuple):
    """What passed: bytes that will be read, and where they go."""

    letter: Letter
    value: bytes
    topic: Topic
    key: bytes


class Written(NamedTuple):
    """What was put back, and its location now: TOPIC/PARTITION/OFFSET."""

    letter: Letter
    location: str


def waiting(letters: Letters, letter: Letter) -> Letter:
    """The letter to put back when `letter` is asked for. Raises NotPutBackError unless it waits for that."""
    if letters.is_copy(letter):
        raise NotPutBackError(
            f"{letter.letter_id} is a copy of what was put back for another letter: replay {letter.replay_of} instead"
        )
    last = letters.last_of(letter)
    replay = letters.replays.get(last.letter_id)
    if replay is None:
        return last
    if replay.location:
        raise NotPutBackError(
            f"{last.letter_id} was put back before, at {rfc3339(replay.replayed_ms)} as {replay.location}: "
            "see what that did"
        )
    if time.time() * 1000 - replay.claimed_ms < PATIENCE_MS:
        raise NotPutBackError(
            f"{last.letter_id} is being put back by somebody who began at {rfc3339(replay.claimed_ms)}: "
            f"run this again {PATIENCE_MS // SECOND_MS} s after that"
        )
    return last


class Replayer:
    """Checks and writes; `log` is started."""

    def __init__(self, settings: Settings, log: KafkaTopics, *, force: bool) -> None:
        self._bootstrap = settings.kafka_bootstrap_servers
        self._policy = settings.policy()
        self._log = log
        self._force = force
        self._reached_ms: dict[int, int] = {}

    async def check(self, chosen: Chosen) -> Checked:
        """Read the bytes as the stage that they go to would. Raises NotPutBackError if it would refuse them again."""
        letter = chosen.letter
        topic, found = _read(letter, chosen.value)
        at_ms, key = to_ms(found.time), found.data.workspace_id.encode()
        refused = _out_of_time(at_ms, self._policy, int(time.time() * 1000)) if isinstance(found, ChatEvent) else None
        if at_ms < 0:
            refused = Rejected("too_old", f"time: {rfc3339(at_ms)} is before 1970")
        if refused is None and letter.code == "conflict" and chosen.value == chosen.refused:
            refused = Rejected("conflict", "id: the same command is refused again however often it comes")
        if refused is None and isinstance(found, ChatEvent) and not self._force:
            refused = await self._late(chosen, at_ms, key)
        if refused is not None:
            raise NotPutBackError(_again(letter, refused))
        return Checked(letter, chosen.value or b"", topic, key)

    async def _late(self, chosen: Chosen, at_ms: int, key: bytes) -> Rejected | None:
        """Why the event is sure to be late: event time never goes back, so what was late once stays so."""
        letter = chosen.letter
        if letter.code == "late":
            before = read(chosen.refused, decode_event)
            if not isinstance(before, Rejected) and at_ms <= to_ms(before.time):
                return Rejected("late", letter.reason)
        partition = await self._log.partition_of(CHAT_EVENTS.name, key)
        if partition not in self._reached_ms:
            self._reached_ms[partition] = await _reached_ms(self._bootstrap, partition, self._policy)
        behind_ms = self._reached_ms[partition] - at_ms
        if behind_ms <= self._policy.horizon_ms:
            return None
        return Rejected("late", f"time: {rfc3339(at_ms)} is {behind_ms / HOUR_MS:.3f} h behind the newest event")

    async def put_back(
        self, checked: Sequence[Checked], replays: Mapping[str, Replay]
    ) -> AsyncIterator[Written | NotPutBackError]:
        """Claim all; then of each write it and its receipt, unless somebody else claimed the letter first."""
        new = [
            Claim(each.letter.letter_id, secrets.token_hex(8), each.value)
            for each in checked
            if each.letter.letter_id not in replays
        ]
        await self._append([Record(claim.letter_id.encode(), claim.value, claim.headers()) for claim in new])
        standing = await load_replays(self._bootstrap)
        mine = {claim.nonce for claim in new}
        for each in checked:
            claim = standing[each.letter.letter_id].claim
            if claim.letter_id in replays or claim.nonce in mine:
                location = await self._write(each)
                receipt = Receipt(claim.letter_id, claim.nonce, location)
                await self._append([Record(claim.letter_id.encode(), None, receipt.headers())])
                yield Written(each.letter, location)
            else:
                yield NotPutBackError(f"{claim.letter_id} was claimed by somebody else just now: see what that did")

    async def _write(self, checked: Checked) -> str:
        partition = await self._log.partition_of(checked.topic.name, checked.key)
        record = Record(checked.key, checked.value, [(REPLAY_OF, checked.letter.letter_id.encode())])
        (delivery,) = await self._log.append(checked.topic.name, partition, [record])
        told: Any = await delivery
        return f"{told.topic}/{told.partition}/{told.offset}"

    async def _append(self, records: Iterable[Record]) -> None:
        await delivered(await self._log.append_keyed(REPLAYS.name, records))


def begun(letters: Letters, letter: Letter, mended: bytes | None) -> Checked | None:
    """What an earlier replay claimed and may not have written: nothing else can be put back for the letter any more.

    None if there is none. Raises NotPutBackError if `mended` are other bytes.
    """
    replay = letters.replays.get(letter.letter_id)
    if replay is None:
        return None
    if mended not in (None, replay.claim.value):
        raise NotPutBackError(
            f"{letter.letter_id} has a replay with other bytes, begun at {rfc3339(replay.claimed_ms)} "
            "and not finished: run this without --file to finish that one"
        )
    topic, found = _read(letter, replay.claim.value)
    return Checked(letter, replay.claim.value, topic, found.data.workspace_id.encode())


def _read(letter: Letter, value: bytes | None) -> tuple[Topic, ChatEvent | AnyCommand]:
    topic = _TOPICS.get(letter.topic)
    if topic is None:
        raise NotPutBackError(
            f"{letter.letter_id} did not come from {' or '.join(_TOPICS)}: produce it where it belongs"
        )
    found = read(value, decode_event) if topic is CHAT_EVENTS else read(value, decode_wallet_input)
    if isinstance(found, Rejected):
        raise NotPutBackError(_again(letter, found))
    if isinstance(found, ClockTick | ConversationMetered | OccurrenceMetered | SafePoint):
        raise NotPutBackError(f"{letter.letter_id} is no chat event and no account command: only these can be put back")
    return topic, found


def _again(letter: Letter, refused: Rejected) -> str:
    hint = "mend it and give it with --file" if refused.code != "late" else "see --help for what can be done"
    return f"{letter.letter_id} would be refused again as {refused.code}: {refused.reason}; {hint}"


def _out_of_time(at_ms: int, policy: Policy, now_ms: int) -> Rejected | None:
    if at_ms <= now_ms + policy.future_ms:
        return None
    return Rejected("future", f"time: {rfc3339(at_ms)} is {(at_ms - now_ms) / 1000:.3f} s ahead of its arrival")


async def _reached_ms(bootstrap: str, partition: int, policy: Policy) -> int:
    """The event time that a partition has reached at least, by its last records."""
    reached_ms = 0
    async for record in reader.tail(bootstrap, CHAT_EVENTS, partition, TAIL_RECORDS):
        event = read(record.value, decode_event)
        if not isinstance(event, Rejected) and to_ms(event.time) <= record.timestamp + policy.future_ms:
            reached_ms = max(reached_ms, to_ms(event.time))
    return reached_ms
