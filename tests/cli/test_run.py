"""`run`: the whole pipeline on one machine, for a feed or for as long as it is wanted."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random, SystemRandom

import pytest

from meter.kafka.reader import records
from schemas.topics import CHAT_EVENTS
from tests.cli.conftest import SMALL, write_feed
from tests.feeds.disorder import shuffle_within, with_malformed
from tests.feeds.generator import generate
from tests.feeds.lines import HOUR_MS, MINUTE_MS, chat_data, envelope, line, millis
from tests.integration.outcome import assert_exact
from tests.integration.processes import DRAIN_S, ROOT, STOP_S, command, environment, eventually

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc"),
]


def descendants(pid: int) -> dict[int, str]:
    """The processes that a process has started, and theirs: process id -> command line."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # It has just ended.
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {child: command_line(child) for child in found - {pid}}


def command_line(pid: int) -> str:
    """Empty once the process has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def still_there(processes: dict[int, str]) -> dict[int, str]:
    """Those that have not ended. A process id may have been given to another command since."""
    return {pid: words for pid, words in processes.items() if words and command_line(pid) == words}


@contextmanager
def running(*words: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`run` in the background, what it tells in a log. It is killed if the test leaves it behind."""
    with log.open("wb") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "meter", "run", *words],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        started = descendants(process.pid)
        process.kill()
        process.wait()
        for pid in still_there(started):
            os.kill(pid, signal.SIGKILL)


def worker_of(process: subprocess.Popen[bytes], program: str) -> int | None:
    """The process id of a run's worker, if there is one now."""
    found = descendants(process.pid).items()
    return next((pid for pid, words in found if f"-m {program} worker" in words), None)


def test_run_twice_on_one_directory_gives_the_same_result(tmp_path: Path) -> None:
    """A finished run leaves nothing in the way of the next: not its data, not a process, not a lock."""
    feed = write_feed(tmp_path / "feed.ndjson", SMALL)
    tables = []
    for _ in range(2):
        done = command(
            "meter", "run", "--feed", str(feed), "--data", str(tmp_path / "data"), "--once", env=environment()
        )
        assert done.returncode == 0, done.stderr
        assert_exact(tmp_path / "data", SMALL, in_order=True)
        tables.append(done.stdout)
    assert tables[0] == tables[1]
    assert all(workspace in tables[0] for workspace in ("standard", "enterprise", "café:1"))


def test_run_of_several_files_without_standard_input(tmp_path: Path) -> None:
    """Commands and events in files of their own are merged by time; a closed standard input is no obstacle."""
    commands = write_feed(tmp_path / "accounts.ndjson", [row for row in SMALL if b'"type":"billing.' in row])
    events = write_feed(tmp_path / "events.ndjson", [row for row in SMALL if b'"type":"chat.' in row])
    words = ["run", "--feed", str(events), "--feed", str(commands), "--data", str(tmp_path / "data"), "--once"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -m meter "$@" <&-', sys.executable, *words],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert_exact(tmp_path / "data", SMALL, in_order=True)


def test_run_stays_and_reads_on_until_it_is_stopped(tmp_path: Path) -> None:
    """Without --once its topics stay open to all, at the address it tells; SIGTERM ends it and all it has started.

    A late message that joins two conversations which were charged has one of them reversed.
    """
    first = generate(seed=6, events=500, start_ms=millis(2026, 8, 1))
    first += [said(millis(2026, 8, 5) - ago_ms) for ago_ms in (HOUR_MS, HOUR_MS - 20 * MINUTE_MS)]
    second = [row.replace(b'"m-', b'"n-') for row in generate(seed=7, events=500, start_ms=millis(2026, 8, 5))]
    second = [row for row in second if b'"type":"chat.' in row]
    second.insert(0, said(millis(2026, 8, 5) - HOUR_MS + 10 * MINUTE_MS))
    feeds = [write_feed(tmp_path / "first.ndjson", first), write_feed(tmp_path / "second.ndjson", second)]
    log = tmp_path / "told.log"
    with running("--feed", str(feeds[0]), "--data", str(tmp_path / "data"), log=log) as process:
        eventually("the address", lambda: "broker at" in log.read_text() or process.poll() is not None, 60)
        found = re.search(r"broker at (\S+:\d+)", log.read_text())
        assert found, log.read_text()
        outside = environment(KAFKA_BOOTSTRAP_SERVERS=found[1], KAFKA_IDEMPOTENT="false")
        events = {row for row in first if b'"type":"chat.' in row}
        eventually("the first feed is written", lambda: events <= asyncio.run(written(found[1])), 60, every_s=0.2)
        assert command("meter", "drained", "--timeout", str(DRAIN_S), env=outside).returncode == 0
        produced = command("meter", "produce", "--feed", str(feeds[1]), "--close", env=outside)
        assert produced.returncode == 0, produced.stderr
        assert command("meter", "drained", "--timeout", str(DRAIN_S), env=outside).returncode == 0
        started = descendants(process.pid)
        assert len(started) >= 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_S) == 0, log.read_text()
        assert still_there(started) == {}
    assert "Traceback" not in log.read_text()
    outcome = assert_exact(tmp_path / "data", first + second, in_order=True)
    assert [entry["kind"] for entry in outcome.ledger].count("reversal") == 1


async def written(bootstrap: str) -> set[bytes]:
    """The values on chat-events."""
    return {each.value async for each in records(bootstrap, CHAT_EVENTS)}


def said(at: int) -> bytes:
    """A message of a user who says nothing else."""
    return line(
        envelope("chat.message", at, f"l-{at}", "/runtime", chat_data("standard", "bot", "web", "late", "user"))
    )


def test_worker_killed_under_a_run_is_started_again(tmp_path: Path) -> None:
    """Kill -9 of the meter worker and of the aggregator, some time into the work: the run ends at the same result.

    Until the meter worker was killed twice, the aggregator is stopped: so the run cannot be over before.
    """
    seed = SystemRandom().randrange(10**6)
    print(f"the moments of death follow from seed {seed}")
    rng = Random(seed)
    lines = shuffle_within(generate(seed=8, events=20_000, start_ms=millis(2026, 8, 1)), 6 * HOUR_MS, seed=8)
    lines, _ = with_malformed(lines, seed=8)
    feed, log = write_feed(tmp_path / "feed.ndjson", lines), tmp_path / "told.log"
    with running("--feed", str(feed), "--data", str(tmp_path / "data"), "--once", log=log) as process:
        aggregator, killed = new_worker(process, "aggregator", set()), set[int]()
        os.kill(aggregator, signal.SIGSTOP)
        for _ in range(2):
            victim = new_worker(process, "meter", killed)
            time.sleep(rng.uniform(1, 4))
            os.kill(victim, signal.SIGKILL)
            killed.add(victim)
        os.kill(aggregator, signal.SIGCONT)
        time.sleep(rng.uniform(0, 2))
        if process.poll() is None:
            os.kill(aggregator, signal.SIGKILL)
        assert process.wait(2 * DRAIN_S) == 0, log.read_text()
    assert_exact(tmp_path / "data", lines, in_order=False)


def new_worker(process: subprocess.Popen[bytes], program: str, killed: set[int]) -> int:
    """Wait for a run's worker that has not been killed yet."""
    eventually(f"a {program} worker", lambda: worker_of(process, program) not in {None, *killed}, 60)
    victim = worker_of(process, program)
    assert victim is not None
    return victim


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_run_broken_off_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    """However and whenever a run is ended, what it has started ends with it, soon."""
    seed = SystemRandom().randrange(10**6)
    print(f"the moment follows from seed {seed}")
    feed, log = write_feed(tmp_path / "feed.ndjson", SMALL), tmp_path / "told.log"
    with running("--feed", str(feed), "--data", str(tmp_path / "data"), "--once", log=log) as process:
        eventually("the workers", lambda: worker_of(process, "meter") is not None, 60)
        time.sleep(Random(seed).uniform(0, 3))
        started = descendants(process.pid)
        process.send_signal(number)
        assert process.wait(STOP_S) != 0
        eventually("all have ended", lambda: still_there(started) == {}, STOP_S)
    assert "Traceback" not in log.read_text()
