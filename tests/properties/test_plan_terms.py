"""A timeline keeps at most two terms of an instant, and answers as if it had kept all."""

from hypothesis import given
from hypothesis import strategies as st

from meter.core.wallet.plan_terms import INHERITED, Term, Timeline, in_force

TIMES = range(-1, 8)

terms = st.lists(
    st.builds(
        Term,
        st.integers(0, 5),
        st.sampled_from(("standard", "enterprise")),
        st.integers(1, 9),
        st.tuples(st.sampled_from("ab"), st.text("cd", min_size=1, max_size=2)),
        st.sampled_from((INHERITED, 3, 5, 7)),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda term: term.rank,
)


@given(terms, st.randoms(use_true_random=False), st.integers(0, 5))
def test_a_timeline_answers_as_if_it_had_kept_all_terms(all_terms: list[Term], rng: object, bot_ms: int) -> None:
    """In any order of the additions: the plan of each time, and the enterprise price that a bot inherits there."""
    timeline, added = Timeline(), list(all_terms)
    rng.shuffle(added)  # type: ignore[attr-defined]
    for term in added:
        timeline.add(term)
    bot = Timeline()
    bot.add(Term(bot_ms, "enterprise", INHERITED, ("z", "z")))
    in_order = sorted(all_terms, key=lambda term: term.rank)
    priced = [term for term in in_order if term.session_micros != INHERITED]
    for at_ms in TIMES:
        before = [term for term in in_order if term.from_ms <= at_ms]
        assert timeline.at(at_ms) == (before[-1] if before else None)
        named = [term.session_micros for term in priced if term.from_ms <= at_ms]
        first = [term.session_micros for term in priced if term.from_ms == priced[0].from_ms]
        expected = (named or first)[-1] if priced else None
        assert timeline.enterprise_micros(at_ms) == expected
        if priced and at_ms >= bot_ms:
            assert in_force(timeline, bot, at_ms).price_micros == timeline.enterprise_micros(bot_ms)
    assert timeline.first == [term for term in in_order if term.from_ms == in_order[0].from_ms][-1]
    assert all(len(timeline.of(at_ms)) <= 2 for at_ms in TIMES)
