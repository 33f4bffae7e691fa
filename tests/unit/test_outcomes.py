"""What the charger writes to `outcomes`: one record for each account command that it reads and that lies right."""

import json
from collections.abc import Iterable

import pytest
from aiokafka import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from meter.charger.charger import Charger
from meter.core.policy import Policy, PolicyInForce
from meter.kafka.home import home_of
from meter.kafka.records import Record
from meter.stage.fold import Output
from meter.stage.mark import NO_LIFE
from schemas.metered import SafePoint, WalletInput
from schemas.outcomes import OutcomeRecord, decode_outcome
from schemas.topics import ENTITLEMENTS, LEDGER, OUTCOMES, WALLET_INPUTS
from schemas.versions import version_of
from tests.bench_wallet.records import conversation
from tests.bench_wallet.records import stored as stored_input
from tests.oracle.build import DAY, STANDARD, command
from tests.packed_records import listed
from tests.properties.memory_log import stored

GRANT = command("grant.assigned", grant_id="g", amount_micros=5)


def at(offset: int, value: bytes) -> ConsumerRecord:
    return stored(WALLET_INPUTS.name, 0, offset, Record(b"w", value))


def outcomes_of(outputs: Iterable[Output]) -> list[OutcomeRecord]:
    return [
        decode_outcome(record.value or b"")
        for output in outputs
        if output.topic is OUTCOMES
        for record in listed(output.records)
    ]


def of(charger: Charger, *values: bytes, first: int = 0) -> list[tuple[str, str, int]]:
    """The outcomes of a batch: (outcome, code, version)."""
    records = [at(first + number, value) for number, value in enumerate(values)]
    return [(each.outcome, each.code, each.version) for each in outcomes_of(charger.process(records))]


OTHER = json.loads(GRANT) | {"source": "/other"}
CASES = {
    "done": ([GRANT], [("done", "", 0)]),
    "the same again is repeated": ([GRANT, GRANT], [("done", "", 0), ("repeated", "", 1)]),
    "the same id with other content is refused": (
        [GRANT, GRANT.replace(b'"amount_micros": 5', b'"amount_micros": 6')],
        [("done", "", 0), ("refused", "conflict", 1)],
    ),
    "a grant that another command gave is repeated": (
        [GRANT, json.dumps(OTHER).encode()],
        [("done", "", 0), ("repeated", "", 1)],
    ),
    "a workspace that was created is refused": (
        [STANDARD, command("workspace.created", -2 * DAY, plan="standard")],
        [("done", "", 0), ("refused", "conflict", 1)],
    ),
    "a plan without a price is refused": (
        [command("plan.changed", plan="enterprise")],
        [("refused", "invalid", 0)],
    ),
    "what cannot be read has none": ([b"{", GRANT[:-1], b'{"type":"billing.unknown"}', GRANT], [("done", "", 3)]),
}


@pytest.mark.parametrize(("values", "expected"), CASES.values(), ids=CASES)
def test_a_command_has_its_outcome(values: list[bytes], expected: list[tuple[str, str, int]]) -> None:
    assert of(Charger(Policy(), 0), *values) == expected


def test_a_refused_command_says_why_and_for_which_command() -> None:
    charger = Charger(Policy(), 0)
    (outcome,) = outcomes_of(charger.process([at(7, command("plan.changed", id="c-1", plan="enterprise"))]))
    assert outcome == OutcomeRecord(
        workspace_id="w",
        source="/t",
        id="c-1",
        outcome="refused",
        code="invalid",
        reason="data.session_price_micros: required on the enterprise plan",
        version=7,
    )


def test_metered_updates_safe_points_and_policies_have_no_outcome() -> None:
    policy = PolicyInForce(policy=Policy(), version=2).record()
    point = SafePoint(origin_partition=0, origin_offset=1, watermark_ms=1)
    inputs: list[WalletInput] = [conversation("w", 0), policy, point]
    records = [stored_input(each, offset) for offset, each in enumerate(inputs)]
    assert outcomes_of(Charger(Policy(), 0).process(records)) == []


def test_outcomes_follow_the_ledger_updates_and_entitlements_of_their_batch() -> None:
    """A reader that has an outcome can expect its effect there."""
    records = [at(0, STANDARD), at(1, command("bot.created", bot_id="b")), at(2, GRANT)]
    topics = [output.topic for output in Charger(Policy(), 0).process(records)]
    assert topics.index(OUTCOMES) > max(topics.index(LEDGER), topics.index(ENTITLEMENTS))


def test_a_version_has_the_generation_of_the_topics() -> None:
    charger = Charger(Policy(), 0)
    charger.begin(structs.replace(NO_LIFE, generation=3))
    assert of(charger, GRANT) == [("done", "", version_of(3, 0))]


def test_a_misplaced_command_has_its_outcome_where_it_takes_effect() -> None:
    home = home_of("w", 4)
    elsewhere = Charger(Policy(), (home + 1) % 4, 4)
    outputs = list(elsewhere.process([stored(WALLET_INPUTS.name, (home + 1) % 4, 0, Record(b"x", GRANT))]))
    assert outcomes_of(outputs) == []
    (moved,) = [each for output in outputs if output.topic is WALLET_INPUTS for each in listed(output.records)]
    arrived = stored(WALLET_INPUTS.name, home, 9, moved)
    assert [each.version for each in outcomes_of(Charger(Policy(), home, 4).process([arrived]))] == [9]
    again = stored(WALLET_INPUTS.name, (home + 2) % 4, 9, moved)
    assert outcomes_of(Charger(Policy(), (home + 2) % 4, 4).process([again])) == [], "it was moved before"


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("123"), st.integers(1, 2)), max_size=12),
    st.lists(st.integers(1, 5), max_size=8),
)
def test_a_replay_in_other_batches_gives_the_same_outcomes(
    commands: list[tuple[str, str, int]], sizes: list[int]
) -> None:
    """Compared with a second reading of the rule: the first content of an id is done, the same again repeated."""
    known: dict[tuple[str, str], int] = {}
    values, expected = [], []
    for offset, (workspace_id, name, amount_micros) in enumerate(commands):
        value = command("grant.assigned", ws=workspace_id, id=name, grant_id=name, amount_micros=amount_micros)
        values.append(at(offset, value))
        first = known.setdefault((workspace_id, name), amount_micros)
        is_new = offset == next(n for n, each in enumerate(commands) if each[:2] == (workspace_id, name))
        expected.append("done" if is_new else "repeated" if first == amount_micros else "refused")
    whole = outcomes_of(Charger(Policy(), 0).process(values)) if values else []
    parts, charger, start = list[OutcomeRecord](), Charger(Policy(), 0), 0
    for size in [*sizes, len(values) + 1]:
        batch = values[start : start + size]
        parts += outcomes_of(charger.process(batch)) if batch else []
        start += size
    by_version = sorted(parts, key=lambda each: each.version)
    assert sorted(whole, key=lambda each: each.version) == by_version
    assert [each.outcome for each in by_version] == expected
