"""Records of transactions count once they are committed, and never if they are aborted. Their markers delay nothing."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from schemas.topics import CHAT_EVENTS, WALLET_INPUTS
from tests.brokers import KAFKA, Broker, running_broker, why_no_kafka
from tests.feeds.generator import generate
from tests.feeds.lines import is_command
from tests.integration.outcome import assert_exact
from tests.integration.processes import Worker, command, deployed, eventually
from tests.kafka.producing_clients import Sent, by_aiokafka, why_no_client
from tests.kafka.transactions import AiokafkaWriter, ConfluentWriter, Writer

pytestmark = pytest.mark.integration

EVENTS, PART = 120, 20


def test_only_what_is_committed_is_billed(tmp_path: Path) -> None:
    """Committed and aborted transactions of two clients overlap, another stays open meanwhile. No lag is left."""
    if why := why_no_kafka():
        pytest.skip(why)
    lines, aborted = generate(seed=7, events=EVENTS), generate(seed=8, events=EVENTS)
    events = [text for text in lines if not is_command(text)]
    with (
        running_broker(KAFKA, tmp_path / "broker") as broker,
        deployed(broker, tmp_path) as deployment,
        ExitStack() as writers,
    ):
        meter, _ = deployment.start("meter"), deployment.start("aggregator")
        good, slow = (writers.enter_context(writer("aiokafka", broker, name, None)) for name in ("good", "slow"))
        bad = writers.enter_context(writer("confluent-kafka", broker, "bad", "lz4"))
        write(good, [text for text in lines if is_command(text)])
        for at in range(0, EVENTS - PART, PART):
            bad.begin()
            bad.send(map(sent, aborted[at : at + PART // 2]))
            write(good, events[at : at + PART])
            bad.send(map(sent, aborted[at + PART // 2 : at + PART]))
            bad.abort()
        eventually("events are metered", lambda: metered(meter) == EVENTS - PART, 60)
        eventually("no lag is left", lambda: meter.count("meter_consumer_lag") == 0, 60)

        slow.begin()
        slow.send(map(sent, aborted[:PART]))
        by_aiokafka(broker.bootstrap, [sent(text) for text in events[EVENTS - PART : -1]])
        waiting = command("meter", "drained", "--timeout", "2", env=deployment.env)
        assert waiting.returncode == 1, waiting
        assert metered(meter) < EVENTS - 1
        slow.abort()
        deployment.produce(events[-1:])
        deployment.drain()
    assert_exact(tmp_path, lines, in_order=False)


@contextmanager
def writer(client: str, broker: Broker, name: str, codec: str | None) -> Iterator[Writer]:
    is_there = client == "aiokafka" or why_no_client(client)
    opened = (AiokafkaWriter if is_there else ConfluentWriter)(broker.bootstrap, name, codec)
    try:
        yield opened
    finally:
        opened.close()


def write(writer: Writer, lines: list[bytes]) -> None:
    """A transaction of its own, committed."""
    writer.begin()
    writer.send(map(sent, lines))
    writer.commit()


def metered(meter: Worker) -> float:
    """How many events it has read, without the ticks that it writes itself."""
    return meter.count("meter_events_total") - meter.count(r'meter_events_total\{outcome="tick"\}')


def sent(text: bytes) -> Sent:
    """A line as its writer sends it."""
    topic = WALLET_INPUTS if is_command(text) else CHAT_EVENTS
    return Sent(topic.name, "none", json.loads(text)["data"]["workspace_id"].encode(), text)
