"""Putting dead letters back, each once (docs/adr/0010).

A replay is three writes, each acknowledged before the next: a claim with the bytes, the record, a receipt. On each
letter only the first claim in the log counts, also if several operators try at once. After a crash between the writes
only the claimed bytes can be written again. The same bytes are billed once, however often they are written.
"""

import secrets
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from meter.core.decode import NULL_VALUE, OWN_PREFIX, read, sort
from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.dead_letters.event_time import newest_ms, out_of_time
from meter.dead_letters.inventory import Letter, LetterError, Letters, Replay, load_replays
from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics, delivered
from meter.settings import Settings
from schemas.commands import AnyCommand
from schemas.events import ChatEvent, ClockTick, decode_event
from schemas.headers import Headers
from schemas.instants import HOUR_MS, SECOND_MS, rfc3339, to_ms
from schemas.moves import without_move
from schemas.policy import PolicyRecord
from schemas.replays import Claim, Receipt, without_marks
from schemas.topics import ACCOUNT_COMMANDS, CHAT_EVENTS, REPLAYS, WALLET_INPUTS, Topic

PATIENCE_MS: Final = 60 * SECOND_MS
"""How long after its claim a replay without a receipt is left to the process that began it."""

_TOPICS: Final = (CHAT_EVENTS.name, ACCOUNT_COMMANDS.name, WALLET_INPUTS.name)


class NotPutBackError(LetterError):
    """One letter cannot be put back in its present state; the message says why and what to do."""


class Chosen(NamedTuple):
    """A letter to put back with the bytes `value`. `refused` are the bytes that were refused; None for no value.

    `headers` are those of the refused record.
    """

    letter: Letter
    value: bytes | None
    refused: bytes | None
    headers: Headers = ()


class Checked(NamedTuple):
    """A letter whose bytes `value` passed the checks, and where they go: topic and record key.

    `headers` are those of the refused record, without the marks of an earlier replay.
    """

    letter: Letter
    value: bytes
    topic: Topic
    key: bytes
    headers: Headers = ()


class Written(NamedTuple):
    """A letter that was put back, and the location of the new record: TOPIC/PARTITION/OFFSET."""

    letter: Letter
    location: str


def waiting(letters: Letters, letter: Letter) -> Letter:
    """Return the letter to put back when `letter` is asked for: itself, or the last one of its chain of refusals.

    Raises NotPutBackError if it is a copy, if it was put back before, or if another process may still be at it.
    """
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
            f"{last.letter_id} is being put back by another process, which began at {rfc3339(replay.claimed_ms)}: "
            f"run this again {PATIENCE_MS // SECOND_MS} s after that"
        )
    return last


class Replayer:
    """Checks letters and puts them back. Call `check` for each, then `put_back` once with all that passed.

    `topics` must be started. `force` lets late events pass. `policy` is the one in force; without it, the settings' is.
    """

    def __init__(self, settings: Settings, topics: KafkaTopics, *, force: bool, policy: Policy | None = None) -> None:
        self._bootstrap = settings.kafka_bootstrap_servers
        self._policy = policy or settings.policy()
        self._topics = topics
        self._force = force
        self._reached_ms: dict[int, int] = {}

    async def check(self, chosen: Chosen) -> Checked:
        """Read the bytes as the stage that they go to. Raises NotPutBackError if it would refuse them again."""
        letter = chosen.letter
        topic, found = _read(letter, chosen.value)
        at_ms, key = to_ms(found.time), found.data.workspace_id.encode()
        refused = out_of_time(at_ms, self._policy, int(time.time() * 1000)) if isinstance(found, ChatEvent) else None
        if at_ms < 0:
            refused = Rejected("too_old", f"time: {rfc3339(at_ms)} is before 1970")
        if refused is None and letter.code == "conflict" and chosen.value == chosen.refused:
            refused = Rejected("conflict", "id: the same command is refused again however often it comes")
        if refused is None and isinstance(found, ChatEvent) and not self._force:
            refused = await self._late(chosen, at_ms, key)
        if refused is not None:
            raise NotPutBackError(_refusal_again(letter, refused))
        return Checked(letter, chosen.value or b"", topic, key, own_headers(letter, chosen.headers))

    async def _late(self, chosen: Chosen, at_ms: int, key: bytes) -> Rejected | None:
        """Return the rejection if the event is certain to be late, else None.

        Event time never goes back, so an event that was late once stays late. One that passes may be late all the
        same, because only the partition's last records are known here.
        """
        letter = chosen.letter
        if letter.code == "late":
            before = read(chosen.refused, decode_event)
            if not isinstance(before, Rejected | PolicyRecord) and at_ms <= to_ms(before.time):
                return Rejected("late", letter.reason)
        partition = await self._topics.partition_of(CHAT_EVENTS.name, key)
        if partition not in self._reached_ms:
            self._reached_ms[partition] = await newest_ms(self._bootstrap, partition, self._policy)
        behind_ms = self._reached_ms[partition] - at_ms
        if behind_ms <= self._policy.horizon_ms:
            return None
        return Rejected("late", f"time: {rfc3339(at_ms)} is {behind_ms / HOUR_MS:.3f} h behind the newest event")

    async def put_back(
        self, checked: Sequence[Checked], replays: Mapping[str, Replay]
    ) -> AsyncIterator[Written | NotPutBackError]:
        """Claim all letters, then write the record and the receipt of each, and yield what became of it.

        `replays` are those that were read before `check`. A letter with a replay there is finished under its claim.
        For a letter that another process has claimed since, nothing is written and a NotPutBackError is yielded.
        """
        new = [
            Claim(each.letter.letter_id, secrets.token_hex(8), each.value)
            for each in checked
            if each.letter.letter_id not in replays
        ]
        await self._append([Record(claim.letter_id.encode(), claim.value, claim.headers()) for claim in new])
        counting = await load_replays(self._bootstrap)  # Only now is it known which claim on a letter was first.
        mine = {claim.nonce for claim in new}
        for each in checked:
            claim = counting[each.letter.letter_id].claim
            if claim.letter_id in replays or claim.nonce in mine:
                location = await self._write(each, claim)
                receipt = Receipt(claim.letter_id, claim.nonce, location)
                await self._append([Record(claim.letter_id.encode(), None, receipt.headers())])
                yield Written(each.letter, location)
            else:
                yield NotPutBackError(f"{claim.letter_id} was claimed by another process just now: see what that did")

    async def _write(self, checked: Checked, claim: Claim) -> str:
        partition = await self._topics.partition_of(checked.topic.name, checked.key)
        record = Record(checked.key, checked.value, [*checked.headers, *claim.marks()])
        (delivery,) = await self._topics.append(checked.topic.name, partition, [record])
        written: Any = await delivery
        return f"{written.topic}/{written.partition}/{written.offset}"

    async def _append(self, records: Iterable[Record]) -> None:
        await delivered(await self._topics.append_keyed(REPLAYS.name, records))


def own_headers(letter: Letter, headers: Headers) -> Headers:
    """Return the headers of a refused record without what a replay or a move has added, if it came from one."""
    if letter.moved_from:
        headers = without_move(headers)
    return without_marks(headers) if letter.replay_of else headers


def begun(letters: Letters, letter: Letter, mended: bytes | None, headers: Headers = ()) -> Checked | None:
    """Return what an earlier replay claimed for the letter and may not have written; None if there is no claim.

    Only the claimed bytes can be put back. `headers` are those of the refused record. Raises NotPutBackError if
    `mended` are other bytes.
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
    key = found.data.workspace_id.encode()
    return Checked(letter, replay.claim.value, topic, key, own_headers(letter, headers))


def _read(letter: Letter, value: bytes | None) -> tuple[Topic, ChatEvent | AnyCommand]:
    """Read the bytes, and say where they belong by what they are now: mended bytes may be of another kind.

    A command that came from account-commands goes back there, also if it was moved before it was refused.
    """
    came_from = letter.moved_from.partition("/")[0] or letter.topic
    if came_from not in _TOPICS:
        raise NotPutBackError(f"{letter.letter_id} did not come from {', '.join(_TOPICS)}: produce it where it belongs")
    if value is None:
        raise NotPutBackError(_refusal_again(letter, NULL_VALUE))
    envelope, found = sort(value)
    if isinstance(found, ClockTick | PolicyRecord) or envelope.kind.startswith(OWN_PREFIX):
        raise NotPutBackError(f"{letter.letter_id} is no chat event and no account command: only these can be put back")
    if isinstance(found, Rejected):
        raise NotPutBackError(_refusal_again(letter, found))
    if not envelope.is_command:
        return CHAT_EVENTS, found
    return ACCOUNT_COMMANDS if came_from == ACCOUNT_COMMANDS.name else WALLET_INPUTS, found


def _refusal_again(letter: Letter, refused: Rejected) -> str:
    hint = "mend it and give it with --file" if refused.code != "late" else "see --help for what can be done"
    return f"{letter.letter_id} would be refused again as {refused.code}: {refused.reason}; {hint}"
