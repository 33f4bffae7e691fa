"""Feeds: files merged by time, written as they are, cause before effect."""

import gzip
from collections.abc import Iterable
from pathlib import Path

import pytest

from meter.core.decode import read
from meter.core.policy import Policy
from meter.ingest.feed_files import Line, read_feeds
from meter.ingest.feed_lines import FeedError
from meter.ingest.feeder import Feeder
from meter.kafka.records import Delivery, Record
from schemas.events import ClockTick, decode_event
from schemas.instants import to_ms
from schemas.topics import CHAT_EVENTS, WALLET_INPUTS
from tests.oracle.build import DAY, HOUR, NOW, T0, chat, command
from tests.properties.memory_log import MemoryLog
from tests.properties.pipeline import finish

FUTURE = DAY * 30_000


def written(directory: Path, *feeds: list[bytes], suffix: str = ".ndjson") -> list[Path]:
    paths = [directory / f"feed-{number}{suffix}" for number in range(len(feeds))]
    for path, lines in zip(paths, feeds, strict=True):
        whole = b"".join(line + b"\n" for line in lines)
        path.write_bytes(gzip.compress(whole) if suffix == ".gz" else whole)
    return paths


def values(paths: list[Path]) -> list[bytes]:
    return [line.value for line in read_feeds(paths)]


@pytest.mark.parametrize("suffix", [".ndjson", ".gz"])
def test_files_are_merged_by_time(tmp_path: Path, suffix: str) -> None:
    """Whether packed or not."""
    one, two = [chat(1), chat(3), chat(9)], [chat(2), chat(4), chat(5)]
    paths = written(tmp_path, one, two, suffix=suffix)
    assert values(paths) == [one[0], two[0], one[1], two[1], two[2], one[2]]


def test_of_one_instant_commands_come_first(tmp_path: Path) -> None:
    """In any of the files; else in the order in which the files were given."""
    paths = written(tmp_path, [chat(0, id="a")], [chat(0, id="b")], [command("bot.created", 0, bot_id="b")])
    assert values(paths) == [command("bot.created", 0, bot_id="b"), chat(0, id="a"), chat(0, id="b")]


def test_a_line_without_a_time_stays_after_the_line_before_it(tmp_path: Path) -> None:
    """Broken or not an event: after the line before it."""
    odd = [b"not json", b"\xff", b'{"type":"billing.unknown"}']
    paths = written(tmp_path, [chat(1), *odd, chat(5)], [chat(0), chat(3)])
    assert values(paths) == [chat(0), chat(1), *odd, chat(3), chat(5)]


def test_a_file_keeps_its_own_order(tmp_path: Path) -> None:
    """Disorder in a feed is the feed's: lateness must arrive as it was."""
    lines = [chat(5), chat(1), chat(3)]
    assert values(written(tmp_path, lines)) == lines


def test_one_line_in_the_future_does_not_hold_up_the_rest_of_its_file(tmp_path: Path) -> None:
    """It is refused, and the rest of the feed is unaffected: still merged by time."""
    one, two = [chat(1), chat(FUTURE), chat(3)], [chat(2), chat(4)]
    assert [each for each in values(written(tmp_path, one, two)) if each != chat(FUTURE)] == [
        chat(1),
        chat(2),
        chat(3),
        chat(4),
    ]


def test_line_ends_are_not_part_of_a_line(tmp_path: Path) -> None:
    """LF or CRLF, and none at the end of the file. A CR within a line is the line's."""
    path = tmp_path / "feed"
    path.write_bytes(chat(0) + b"\r\n" + chat(1) + b"\n" + b"a\rb\r\n\r\n" + chat(2))
    assert values([path]) == [chat(0), chat(1), b"a\rb", chat(2)]


def test_progress_counts_every_byte_of_the_files(tmp_path: Path) -> None:
    """As they lie on the disk."""
    paths = written(tmp_path, [chat(number) for number in range(3_000)], suffix=".gz")
    read_bytes: list[int] = []
    assert sum(1 for _ in read_feeds(paths, read_bytes.append)) == 3_000
    assert sum(read_bytes) == paths[0].stat().st_size


BROKEN = {
    "cut.gz": gzip.compress(b"x" * 100_000)[:-9],
    "damaged.gz": (lambda whole: whole[:40] + bytes(each ^ 0x55 for each in whole[40:80]) + whole[80:])(
        gzip.compress(b"".join(chat(number) for number in range(100)))
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_cannot_be_unpacked_is_refused_by_name(tmp_path: Path, name: str) -> None:
    """One sentence that says which file and what to do, for each fault."""
    path = tmp_path / name
    path.write_bytes(BROKEN[name])
    with pytest.raises(FeedError, match=f"the feed {path} cannot be read: .+ Give the path of a file of events"):
        values([path])


@pytest.mark.parametrize("kind", ["missing", "directory"])
def test_a_wrong_path_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    """The same."""
    path = tmp_path if kind == "directory" else tmp_path / "missing"
    with pytest.raises(FeedError, match=f"the feed {path} cannot be read"):
        values([path])


# Writing.


def fed(tmp_path: Path, lines: list[bytes], *, partitions: int = 2, close: bool = False) -> MemoryLog:
    log = MemoryLog(partitions, NOW)
    feeder = Feeder(log, Policy())  # type: ignore[arg-type]
    finish(feeder.feed(read_feeds(written(tmp_path, lines))))
    if close:
        finish(feeder.close())
    return log


def of(log: MemoryLog, topic: str) -> list[list[bytes]]:
    return [[record.value for record in log.topics[topic, number]] for number in range(log.number)]


def ticks(values: list[bytes]) -> list[int]:
    """The times that ticks among these records tell, from T0 on."""
    found = [read(value, decode_event) for value in values]
    return [to_ms(each.time) - T0 for each in found if isinstance(each, ClockTick)]


def test_lines_are_written_as_they_are(tmp_path: Path) -> None:
    """Bad ones too, byte by byte; events and what is neither to one topic, commands to the other, even broken ones."""
    events = [chat(0), b"not json", b"\xff\xfe", chat(1).replace(b"user", b"robot")]
    commands = [command("bot.created", 0, bot_id="b"), b'{"type":"billing.x","data":{"workspace_id":"w"}}']
    log = fed(tmp_path, [*commands, *events], partitions=1)
    assert of(log, CHAT_EVENTS.name) == [events]
    assert of(log, WALLET_INPUTS.name) == [commands]


def test_lines_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    """So that the person who feeds them hears of it at once, and not from the dead letters."""
    lines = [chat(0), b"not json", chat(1).replace(b"user", b"robot"), command("bot.created", 0, bot_id="b")]
    feeder = Feeder(MemoryLog(1, NOW), Policy())  # type: ignore[arg-type]
    finish(feeder.feed(read_feeds(written(tmp_path, lines))))
    assert (feeder.written, feeder.refused) == (4, 2)


def test_everything_of_a_workspace_goes_to_one_partition(tmp_path: Path) -> None:
    """Keyed by it: events, commands, and lines that are refused later but name it. What names none has no key."""
    lines = [
        *(chat(number, ws=f"w-{number % 5}", user=f"u-{number}") for number in range(40)),
        *(command("bot.created", 40, ws=f"w-{number}", bot_id="b") for number in range(5)),
        *(chat(50, ws=f"w-{number}").replace(b"chat.message", b"chat.unknown") for number in range(5)),
    ]
    log = fed(tmp_path, lines, partitions=4)
    homes: dict[bytes, set[int]] = {}
    for topic in (CHAT_EVENTS.name, WALLET_INPUTS.name):
        for record in log.all_of(topic):
            assert f'"{record.key.decode()}"'.encode() in record.value
            homes.setdefault(record.key, set()).add(record.partition)
    assert sorted(homes) == [f"w-{number}".encode() for number in range(5)]
    assert all(len(partitions) == 1 for partitions in homes.values())
    assert [record.key for record in fed(tmp_path, [b"not json"]).all_of(CHAT_EVENTS.name)] == [None]


def test_a_cause_is_acknowledged_before_its_effects_leave(tmp_path: Path) -> None:
    """A command is in the wallets' log before any later event is sent, and an event before a later command."""
    order: list[str] = []

    class Watched(MemoryLog):
        async def append(self, topic: str, _: int, records: Iterable[Record]) -> list[Delivery]:
            return await self.append_keyed(topic, records)

        async def append_keyed(self, topic: str, records: Iterable[Record]) -> list[Delivery]:
            order.extend(f"{topic} {(record.key or b'').decode()}" for record in records)
            return [self._acknowledge(topic)]

        async def _acknowledge(self, topic: str) -> None:
            order.append(f"{topic} acknowledged")

    lines = [chat(0), command("bot.created", 1, bot_id="b"), command("bot.created", 2, bot_id="c"), chat(3), chat(4)]
    finish(Feeder(Watched(1, NOW), Policy()).feed(read_feeds(written(tmp_path, lines))))  # type: ignore[arg-type]
    event, cause = CHAT_EVENTS.name, WALLET_INPUTS.name
    assert order == [
        *(f"{event} w", f"{event} acknowledged"),
        *(f"{cause} w", f"{cause} w", f"{cause} acknowledged"),
        *(f"{event} w", f"{event} w", f"{event} acknowledged"),
    ]


def late_feed(behind: int) -> list[bytes]:
    """A line `behind` the newest, which lies in another partition."""
    homes = {MemoryLog(2, NOW).place(f"w-{number}".encode()): f"w-{number}" for number in range(9)}
    return [chat(2 * DAY, ws=homes[0]), chat(2 * DAY - behind, ws=homes[1])]


@pytest.mark.parametrize(("behind", "told"), [(DAY, []), (DAY + 1, [2 * DAY]), (2 * DAY, [2 * DAY])])
def test_a_late_line_is_late_in_whatever_partition_it_lands(tmp_path: Path, behind: int, told: list[int]) -> None:
    """Its partition is first told how far the feed has come; a line that is not late needs no tick."""
    assert [ticks(part) for part in of(fed(tmp_path, late_feed(behind)), CHAT_EVENTS.name)] == [[], told]


def test_the_time_is_told_once(tmp_path: Path) -> None:
    """Two late lines in a row need one tick; and none where the partition has heard the time from an event."""
    lines = late_feed(DAY + 1)
    again = chat(2 * DAY - DAY - 5, ws="w-0", id="x")
    parts = of(fed(tmp_path, [*lines, lines[1], again]), CHAT_EVENTS.name)
    assert sum(len(ticks(part)) for part in parts) == 1


def test_the_future_is_not_told(tmp_path: Path) -> None:
    """A line that will be refused does not make others late, nor is it where the feed ends."""
    log = fed(tmp_path, [chat(0), chat(FUTURE), chat(HOUR)], close=True)
    assert [ticks(part) for part in of(log, CHAT_EVENTS.name)] == [[HOUR], [HOUR]]


def test_the_end_is_told_to_every_partition(tmp_path: Path) -> None:
    """As final, at the newest of event and command, so that all conversations close; an empty feed has none."""
    log = fed(tmp_path, [chat(0), command("bot.created", HOUR, bot_id="b")], partitions=3, close=True)
    for part in of(log, CHAT_EVENTS.name):
        assert ticks(part) == [HOUR]
        tick = read(part[-1], decode_event)
        assert isinstance(tick, ClockTick)
        assert tick.final
    assert of(fed(tmp_path, [], close=True), CHAT_EVENTS.name) == [[], []]


def test_a_line_knows_what_it_is(tmp_path: Path) -> None:
    """Its workspace is its key; a command's time counts, a broken line has none."""
    lines = [chat(0, ws="café"), command("bot.created", 5, bot_id="b"), b"{"]
    assert list(read_feeds(written(tmp_path, lines))) == [
        Line(lines[0], False, T0, "café".encode()),
        Line(lines[1], True, T0 + 5, b"w"),
        Line(lines[2], False, None, b""),
    ]
