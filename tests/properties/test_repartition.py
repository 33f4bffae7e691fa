"""A repartition at any place of a feed changes no bill, whatever partitioner its clients use and wherever it is killed."""

from hypothesis import given
from hypothesis import strategies as st

from meter.sessionizer.engine import MakeEngine
from tests.oracle.oracle import meter
from tests.properties.money import audit, oracle_totals, totals
from tests.properties.pipeline import Pipeline, Turn
from tests.properties.repartitioning import repartition
from tests.properties.test_sessionize import chains
from tests.properties.view import view
from tests.properties.worlds import HORIZON, NOW, POLICY, feeds, turns
from tests.sessionizer_engines import either


@either
@given(feeds, turns, st.integers(1, 4), st.integers(1, 4), st.integers(0, 40))
def test_any_feed(
    make_engine: MakeEngine, lines: list[bytes], taken: list[Turn], before: int, more: int, cut: int
) -> None:
    pipeline = Pipeline(lines, NOW, POLICY, before, make_engine)
    pipeline.run_part(taken, cut)
    repartition(pipeline, before + more)
    pipeline.run(taken)
    pipeline.close()
    pipeline.run()
    found, expected = view(pipeline.log), meter(lines, NOW, horizon_ms=HORIZON)
    assert totals(found) == oracle_totals(expected)
    assert found.chains(billable=True) == chains(expected, billable=True)
    audit(found)
