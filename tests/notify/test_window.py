"""The window of one partition: offsets that may be committed, and room."""

from hypothesis import given
from hypothesis import strategies as st

from meter.notify.window import MAX_DELIVERIES, Window


def test_only_what_is_done_is_committed() -> None:
    window = Window(5)
    assert window.next_offset == 5
    for offset in (5, 6, 9):
        assert window.add(offset, offset * 10, 1, 100)
    window.done(9)
    window.done(6)
    assert (window.next_offset, window.oldest_ms) == (5, 50)
    window.done(5)
    assert (window.next_offset, window.oldest_ms) == (10, None)


def test_a_record_that_was_read_before_is_left_alone() -> None:
    window = Window(0)
    assert window.add(0, 0, 1, 1)
    assert not window.add(0, 0, 1, 1)
    window.done(0)
    assert not window.add(0, 0, 1, 1)


def test_room_is_bounded_by_deliveries_and_by_records() -> None:
    for deliveries, most in ((1, MAX_DELIVERIES), (250, 4)):
        window = Window(0)
        for offset in range(most):
            assert window.has_room
            window.add(offset, 0, deliveries, 7)
        assert not window.has_room
        assert window.size_bytes == 7 * most
        for offset in range(1, most):
            window.done(offset)
        assert window.has_room == (most < MAX_DELIVERIES)
        window.done(0)
        assert window.has_room


@given(st.permutations(range(12)), st.integers(0, 12))
def test_what_may_be_committed_is_the_first_record_that_is_not_done(order: list[int], count: int) -> None:
    """Against a list of flags."""
    window = Window(0)
    for offset in range(12):
        window.add(offset, offset, 1, 1)
    finished = order[:count]
    for offset in finished:
        window.done(offset)
    assert window.next_offset == next((offset for offset in range(12) if offset not in finished), 12)
