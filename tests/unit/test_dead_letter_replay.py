"""What has become of a dead letter, and what may be put back for it."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, cast

import msgspec
import pytest
from aiokafka import ConsumerRecord

from meter.core.rejection import Rejected
from meter.dead_letters import replay
from meter.dead_letters.inventory import Letter, LetterError, Letters, Replay, fold, read
from meter.dead_letters.replay import Checked, Chosen, NotPutBackError, Replayer, begun, waiting
from meter.kafka.records import Record
from meter.kafka.topics import KafkaTopics
from meter.settings import Settings
from meter.stage.dead_letter import dead_letter
from schemas.dead_letters import REPLAY_OF, from_record
from schemas.instants import rfc3339
from schemas.replays import Claim, Receipt
from schemas.topics import ACCOUNT_COMMANDS, CHAT_EVENTS, WALLET_INPUTS
from tests.oracle.build import T0, chat, command
from tests.properties.memory_log import stored

NOW_MS = T0 + 3_600_000


def letter(offset: int, code: str = "invalid_field", topic: str = CHAT_EVENTS.name, replay_of: str = "") -> Letter:
    letter_id = f"{topic}/0/{offset}"
    return Letter(letter_id, code, f"{code}: why", topic, 0, offset, b"w", 5, 1, replay_of, (0, offset))


def letters(*found: Letter, **replays: Replay) -> Letters:
    """Replays are given by their letter's offset: r1 is for chat-events/0/1."""
    by_id = {each.letter_id: each for each in found}
    return Letters(by_id, {f"chat-events/0/{name[1:]}": replay for name, replay in replays.items()})


def replayed(place: str, value: bytes = b"{}", claimed_ms: int = 0) -> Replay:
    return Replay(Claim("?", "n", value), claimed_ms, place, 7 if place else 0)


def log_of(*written: Claim | Receipt) -> list[ConsumerRecord]:
    """The records of one partition of `replays`; its clock shows each record's offset."""
    records = [Record(b"k", getattr(each, "value", None), each.headers()) for each in written]
    return [stored("replays", 0, offset, record, offset) for offset, record in enumerate(records)]


def test_the_first_claim_in_the_log_counts_and_no_other() -> None:
    """A second process has put nothing back, with any receipt that it writes; the first receipt stands."""
    first, second = Claim("a/0/1", "one", b"1"), Claim("a/0/1", "two", b"2")
    found = fold(
        log_of(
            first,
            second,
            Receipt("a/0/1", "two", "a/0/8"),
            Receipt("a/0/1", "one", "a/0/9"),
            Receipt("a/0/1", "one", "a/0/10"),
        )
    )
    (only,) = found.values()
    assert (only.claim, only.claimed_ms, only.location, only.replayed_ms) == (first._replace(value=b""), 0, "a/0/9", 3)
    assert only.digest == sha256(b"1").digest()


def test_claim_without_a_receipt_is_begun() -> None:
    """And a stranger's record on `replays` is nothing at all."""
    records = log_of(Claim("a/0/1", "one", b"1"))
    assert fold([*records, stored("replays", 0, 1, Record(b"k", b"?"))])["a/0/1"].location == ""


def test_status_of_a_letter_before_during_and_after_its_replay() -> None:
    """What people are told of four letters; one was put back and refused in turn."""
    found = letters(
        *(letter(offset) for offset in (1, 2, 3, 4, 9)),
        r2=replayed(""),
        r3=replayed("chat-events/0/8"),
        r4=replayed("chat-events/0/9"),
    )
    told = [found.status(f"chat-events/0/{offset}") for offset in (1, 2, 3, 4, 9)]
    assert told == ["waiting", "begun", "replayed", "refused again", "waiting"]


def test_of_a_chain_of_refusals_the_last_is_put_back() -> None:
    """Of a chain of refusals the last is the one to put back, by the id of any of them; once it is, none of them is."""
    chain = [letter(1), letter(5, replay_of="chat-events/0/1"), letter(9, replay_of="chat-events/0/5")]
    found = letters(*chain, r1=replayed("chat-events/0/5"), r5=replayed("chat-events/0/9"))
    assert [waiting(found, each).offset for each in chain] == [9, 9, 9]
    found.replays["chat-events/0/9"] = replayed("chat-events/0/12")
    for each in chain:
        with pytest.raises(NotPutBackError, match=f"at {rfc3339(7)} as chat-events/0/12"):
            waiting(found, each)


def test_second_copy_of_a_broken_off_replay_is_not_put_back() -> None:
    """A crash may leave two records for one letter, and both may be refused: only one of them stands for it."""
    copies = [letter(5, replay_of="chat-events/0/1"), letter(6, replay_of="chat-events/0/1")]
    found = letters(letter(1), *copies, r1=replayed("chat-events/0/6"))
    assert waiting(found, copies[1]).offset == 6
    with pytest.raises(NotPutBackError, match="replay chat-events/0/1 instead"):
        waiting(found, copies[0])


def test_replay_at_work_is_left_alone_and_a_dead_one_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a minute; then with the bytes that were claimed and with no others."""
    found = letters(letter(1), r1=replayed("", chat(0), claimed_ms=NOW_MS))
    monkeypatch.setattr("meter.dead_letters.replay.time.time", lambda: (NOW_MS + replay.PATIENCE_MS - 1) / 1000)
    with pytest.raises(NotPutBackError, match=rfc3339(NOW_MS)):
        waiting(found, letter(1))
    monkeypatch.setattr("meter.dead_letters.replay.time.time", lambda: (NOW_MS + replay.PATIENCE_MS) / 1000)
    assert waiting(found, letter(1)) == letter(1)
    assert begun(found, letter(1), None) == Checked(letter(1), chat(0), CHAT_EVENTS, b"w")
    with pytest.raises(NotPutBackError, match="without --file"):
        begun(found, letter(1), chat(1))


class OnePartition:
    async def partition_of(self, *_: object) -> int:
        return 0


async def check(
    monkeypatch: pytest.MonkeyPatch,
    of: Letter,
    value: bytes | None,
    refused: bytes | None = b"{",
    *,
    reached_ms: int = T0,
    force: bool = False,
) -> Checked:
    async def reached(*_: object) -> int:
        return reached_ms

    monkeypatch.setattr("meter.dead_letters.replay.newest_ms", reached)
    monkeypatch.setattr("meter.dead_letters.replay.time.time", lambda: NOW_MS / 1000)
    return await Replayer(Settings(), cast(KafkaTopics, OnePartition()), force=force).check(Chosen(of, value, refused))


async def test_event_goes_where_its_workspace_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keyed by the workspace that it names now, and not by the key that it was refused under."""
    value = chat(0, ws="other")
    assert await check(monkeypatch, letter(1), value) == Checked(letter(1), value, CHAT_EVENTS, b"other")
    order = command("credits.purchased", order_id="o", amount_micros=5, method="card")
    wallet = letter(1, topic=WALLET_INPUTS.name)
    assert await check(monkeypatch, wallet, order) == Checked(wallet, order, WALLET_INPUTS, b"w")


@pytest.mark.parametrize("topic", [WALLET_INPUTS.name, ACCOUNT_COMMANDS.name])
async def test_a_command_from_outside_goes_back_where_it_came_from(monkeypatch: pytest.MonkeyPatch, topic: str) -> None:
    """To account-commands, whether it was refused there or after its move to wallet-inputs."""
    came = "account-commands/1/7" if topic == WALLET_INPUTS.name else ""
    refused = msgspec.structs.replace(letter(1, topic=topic), moved_from=came)
    order = command("credits.purchased", order_id="o", amount_micros=5, method="card")
    assert await check(monkeypatch, refused, order) == Checked(refused, order, ACCOUNT_COMMANDS, b"w")
    assert (await check(monkeypatch, refused, chat(0), b"{")).topic is CHAT_EVENTS


async def test_mended_record_goes_where_it_belongs_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that was taken for an event, because it was broken, is put back as a command; and the reverse."""
    order = command("credits.purchased", order_id="o", amount_micros=5, method="card")
    assert (await check(monkeypatch, letter(1), order, order[:-1])).topic is WALLET_INPUTS
    wallet = letter(1, topic=WALLET_INPUTS.name)
    assert (await check(monkeypatch, wallet, chat(0), b'{"type": "billing.x"}')).topic is CHAT_EVENTS


REFUSED: list[tuple[bytes | None, str]] = [
    (None, "null_value: value"),
    (b"{", "not_json: value"),
    (chat(0).replace(b"user", b"robot"), "invalid_field: data.actor"),
    (command("credits.purchased", order_id="o", amount_micros=0, method="card"), "invalid_field: data.amount_micros"),
    (chat(0).replace(b"chat.message", b"chat.massage"), "unknown_type: type"),
    (chat(2 * 3_600_000), "future: time"),
    (chat(-T0 - 1), "too_old: time"),
    (chat(-25 * 3_600_000), "late: time"),
]


@pytest.mark.parametrize(("value", "why"), REFUSED)
async def test_what_would_be_refused_again_is_refused_now(
    monkeypatch: pytest.MonkeyPatch, value: bytes | None, why: str
) -> None:
    """With the code and the field that the meter would give."""
    with pytest.raises(NotPutBackError, match=f"chat-events/0/1 would be refused again as {why}"):
        await check(monkeypatch, letter(1), value)


async def test_late_once_is_late_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless its time was mended, or the operator says that the horizon is another now."""
    late = letter(1, "late")
    with pytest.raises(NotPutBackError, match="again as late"):
        await check(monkeypatch, late, chat(0), chat(0), reached_ms=0)
    with pytest.raises(NotPutBackError, match="again as late"):
        await check(monkeypatch, late, chat(-1), chat(0), reached_ms=0)
    assert await check(monkeypatch, late, chat(1), chat(0), reached_ms=0)
    assert await check(monkeypatch, late, chat(0), chat(0), force=True)


async def test_the_horizon_to_the_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly 24 hours behind is in time."""
    assert await check(monkeypatch, letter(1), chat(0), reached_ms=T0 + 24 * 3_600_000)
    with pytest.raises(NotPutBackError, match="again as late"):
        await check(monkeypatch, letter(1), chat(0), reached_ms=T0 + 24 * 3_600_000 + 1)


async def test_conflict_is_put_back_mended_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The id of a command is taken for ever."""
    wallet, order = letter(1, "conflict", WALLET_INPUTS.name), command("grant.assigned", grant_id="g", amount_micros=5)
    with pytest.raises(NotPutBackError, match="again as conflict"):
        await check(monkeypatch, wallet, order, order)
    assert await check(monkeypatch, wallet, order.replace(b'"g"', b'"g2"'), order)


TICK = b'{"specversion":"1.0","id":"t","source":"/meter","type":"meter.tick","time":"2026-09-01T00:00:00Z"}'
SAFE_POINT = b'{"type":"meter.safepoint","origin_partition":0,"origin_offset":1,"watermark_ms":1}'


@pytest.mark.parametrize(("topic", "value"), [(CHAT_EVENTS.name, TICK), (WALLET_INPUTS.name, SAFE_POINT)])
async def test_what_the_meter_says_itself_is_not_put_back(
    monkeypatch: pytest.MonkeyPatch, topic: str, value: bytes
) -> None:
    """Only events and commands: a safe point by hand would make wallets forget."""
    with pytest.raises(NotPutBackError, match="no chat event and no account command"):
        await check(monkeypatch, letter(1, topic=topic), value)


def test_a_replay_that_is_moved_and_refused_again_is_followed() -> None:
    """It was put back on account-commands, moved, and refused by the wallet: that letter is the next of its chain, and
    no copy. A second move of it, after a crash, is a copy."""
    first = letter(1)
    came = "account-commands/2/9"
    again, twice = (
        msgspec.structs.replace(letter(at, topic=WALLET_INPUTS.name, replay_of=first.letter_id), moved_from=came)
        for at in (5, 8)
    )
    found = msgspec.structs.replace(letters(first, again, twice, r1=replayed(came)), moved={came: again.letter_id})
    assert found.status(first.letter_id) == "refused again"
    assert found.last_of(first) == again
    assert [found.is_copy(each) for each in (first, again, twice)] == [False, False, True]


async def test_strangers_letter_is_not_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """No one can say where it belongs."""
    with pytest.raises(NotPutBackError, match="did not come from chat-events, account-commands, wallet-inputs"):
        await check(monkeypatch, letter(1, topic="dead-letters"), chat(0))


def test_unknown_letter_is_refused() -> None:
    """By its id."""
    with pytest.raises(LetterError, match="no dead letter chat-events/0/3"):
        letters(letter(1)).get("chat-events/0/3")


@pytest.mark.parametrize("headers", [(), (("source-offset", b"seven"), ("source-topic", b"x")), (("code", b"late"),)])
def test_record_of_another_producer_is_known_by_its_own_location(headers: Sequence[tuple[str, bytes]]) -> None:
    """As it is in ClickHouse."""
    found = read(stored("dead-letters", 1, 5, Record(b"k", b"?", list(headers))))
    assert (found.letter_id, found.value) == ("dead-letters/1/5", b"?")


def test_letter_of_a_replay_says_so() -> None:
    """The marks of the record that was put back and refused again are on its letter, and are read back."""
    marks = Claim("chat-events/0/1", "n", b"{").marks()
    record: Any = stored("chat-events", 0, 9, Record(b"w", b"{", marks))
    written = dead_letter(CHAT_EVENTS, 0, record, Rejected("not_json", "value: ?"))
    assert (written.replay_of, written.replay_nonce) == ("chat-events/0/1", "n")
    assert from_record(written.key, written.value, written.headers()) == written
    plain = dead_letter(
        CHAT_EVENTS, 0, stored("chat-events", 0, 9, Record(b"w", b"{")), Rejected("not_json", "value: ?")
    )
    assert REPLAY_OF not in dict(plain.headers())
