"""The boundary cases of five stream engines: the rules in core, the whole pipeline and the oracle agree with them."""

from collections import Counter
from itertools import pairwise

import pytest

from meter.core.decode import read
from meter.core.policy import Policy
from meter.core.rejection import Rejected
from meter.core.sessions.outcomes import ConversationTouched
from meter.core.sessions.sessionize import Sessions
from schemas.events import decode_event
from tests.engines.cases import CASES, Case, Span
from tests.oracle.build import NOW
from tests.oracle.oracle import meter
from tests.properties.pipeline import metered

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
every_order_case = pytest.mark.parametrize(
    "case", [case for case in CASES if case.horizon is None], ids=lambda case: case.name
)


def sessionized(lines: list[bytes], policy: Policy) -> tuple[Counter[Span], list[bytes]]:
    """What the rules alone make of the lines: conversations, and the lines that were too late."""
    sessions = Sessions(policy)
    stand: dict[str, Span] = {}
    late: list[bytes] = []
    for line in lines:
        outcome = sessions.step(read(line, decode_event), NOW)  # type: ignore[arg-type]
        if isinstance(outcome, ConversationTouched):
            kept, absorbed = outcome.conversation, outcome.absorbed
            stand[kept.conversation_id] = (outcome.key[3], kept.first_ms, kept.last_ms, kept.messages)
            if absorbed is not None:
                del stand[absorbed.conversation_id]
        elif isinstance(outcome, Rejected):
            assert outcome.code == "late"
            late.append(line)
        for _ in sessions.advance():
            pass
    return Counter(stand.values()), late


@every_case
def test_the_rules_cut_as_the_engine_does(case: Case) -> None:
    """DOMAIN, Metering 2, 5 and 6, with the engine's own gap, to the millisecond."""
    policy = Policy(gap_ms=case.own_gap_ms, horizon_ms=case.horizon_ms())
    assert sessionized(case.lines(), policy) == (case.expected(), case.late_lines())


@every_order_case
def test_the_rules_cut_the_same_in_reverse_order_of_arrival(case: Case) -> None:
    """DOMAIN, Metering 5: what holds for the engine's order holds backwards."""
    policy = Policy(gap_ms=case.own_gap_ms)
    assert sessionized(case.lines()[::-1], policy) == (case.expected(), [])


@every_case
def test_the_pipeline_cuts_as_the_engine_does(case: Case) -> None:
    """Both stages and the ledger, with 15 minutes for the engine's gap."""
    stretch = case.to_our_gap
    lines = case.lines(stretch)
    view = metered(lines, NOW, policy=Policy(horizon_ms=case.horizon_ms(stretch)), partitions=1)
    found = Counter(
        (fact.channel_user_id, fact.first_ms, fact.last_ms, fact.messages)
        for fact in view.conversations.values()
        if fact.state != "absorbed"
    )
    late = [letter.value for _, letter in sorted(view.dead.items()) if letter.code == "late"]
    assert (found, late) == (case.expected(stretch), case.late_lines(stretch))
    assert len(view.dead) == len(late)


@every_case
def test_the_oracle_cuts_as_the_engine_does(case: Case) -> None:
    """The second implementation is judged by the same cases as the first."""
    stretch = case.to_our_gap
    lines = case.lines(stretch)
    result = meter(lines, NOW, horizon_ms=case.horizon_ms(stretch))
    found = Counter((chain.key[3], chain.first, chain.last, chain.messages) for chain in result.chains)
    late = [lines[letter.line] for letter in result.dead_letters]
    assert (found, late) == (case.expected(stretch), case.late_lines(stretch))


def test_the_cases_reach_every_boundary() -> None:
    """Of both conventions there is a case with two messages exactly one gap apart; some go back, some come late."""
    exact = {case.joined for case in CASES if _has_neighbours_at(case, case.gap)}
    assert exact == {True, False}
    assert any(first < case.arrivals[0][1] for case in CASES for _, first, _, _ in case.windows)
    assert any(case.late for case in CASES)
    assert any(len({key for key, *_ in case.windows}) > 1 for case in CASES)
    assert len({case.name for case in CASES}) == len(CASES)


def _has_neighbours_at(case: Case, distance: int) -> bool:
    times = sorted((key, at) for key, at in case.arrivals if key is not None)
    return any(key == other and later - at == distance for (key, at), (other, later) in pairwise(times))
