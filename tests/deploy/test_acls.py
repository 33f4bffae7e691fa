"""The permissions that a secured cluster needs: every topic has its writers and its readers, and no others."""

import os
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from schemas.topics import (
    ACCOUNT_COMMANDS,
    AGGREGATOR_GROUP,
    CHAT_EVENTS,
    METER_GROUP,
    NOTIFY_GROUPS,
    PAYMENTS_GROUP,
    TOPICS,
    Topic,
)

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "kafka" / "acls.sh"
OUTSIDERS = {CHAT_EVENTS.name: {"runtime"}, ACCOUNT_COMMANDS.name: {"console"}}
"""The topics that outsiders write, each with the only outsider that does."""

Allowed = dict[tuple[str, str], dict[str, set[str]]]
"""(kind of resource, its name) -> operation -> the principals that it is allowed to."""


@pytest.fixture(scope="module")
def allowed() -> Allowed:
    """All that the script allows."""
    done = subprocess.run(
        [SCRIPT, "--bootstrap-server", "k:1"],
        env=os.environ | {"KAFKA_ACLS": "echo"},
        capture_output=True,
        text=True,
        check=True,
    )
    found: Allowed = defaultdict(lambda: defaultdict(set))
    for line in done.stdout.splitlines():
        words = line.split()
        assert words[:4] == ["--bootstrap-server", "k:1", "--add", "--allow-principal"]
        _, principal = words[4].split("User:")
        at = next(at for at, word in enumerate(words) if word in ("--topic", "--group", "--cluster"))
        assert words[5:at:2] == ["--operation"] * len(words[6:at:2])
        for operation in words[6:at:2]:
            found[words[at], " ".join(words[at + 1 :])][operation].add(principal)
    return found


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_topic_has_its_writers_and_readers(allowed: Allowed, topic: Topic) -> None:
    """The meter writes all of them, an outsider one of two; who reads a topic belongs to the group that reads it."""
    of = allowed["--topic", topic.name]
    assert of["Write"] == {"meter"} | OUTSIDERS.get(topic.name, set())
    reader = "aggregator" if topic.reader == AGGREGATOR_GROUP else "meter"
    assert {reader} <= of["Read"] <= {"meter", "aggregator"}
    assert ("aggregator" in of["Read"]) == (topic.reader == AGGREGATOR_GROUP)
    assert of["Create"] == of["Alter"] == {"meter"}
    assert of["DescribeConfigs"] == of["Read"]


def test_nothing_else_is_allowed(allowed: Allowed) -> None:
    """Topics that exist, all groups, and what an idempotent producer needs."""
    topics = {("--topic", topic.name) for topic in TOPICS}
    notify = ("--group", f"{NOTIFY_GROUPS} --resource-pattern-type prefixed")
    groups = {("--group", group) for group in (METER_GROUP, PAYMENTS_GROUP, AGGREGATOR_GROUP)} | {notify}
    assert allowed.keys() == topics | groups | {("--cluster", "")}
    assert allowed[notify] == {"Read": {"meter"}}
    assert allowed["--group", METER_GROUP] == allowed["--group", PAYMENTS_GROUP] == {"Read": {"meter"}}
    assert allowed["--group", AGGREGATOR_GROUP] == {"Describe": {"meter"}, "Read": {"aggregator"}}
    assert allowed["--cluster", ""] == {"IdempotentWrite": {"runtime", "console", "meter"}}
