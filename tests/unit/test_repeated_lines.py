"""What a library repeats is logged once in a while, with a count; nothing else is left out."""

import logging
from collections.abc import Iterator

import pytest
from aiokafka.errors import GroupCoordinatorNotAvailableError, TopicAuthorizationFailedError

from schemas.repeated_lines import EVERY_S, LIBRARIES, RepeatedLines, bound_repeated_lines


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Lines(logging.Handler):
    """What two handlers write, with its level."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append(f"{record.levelname} {record.getMessage()}")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines(clock: Clock) -> Iterator[Lines]:
    """All that is logged meanwhile, through the filter."""
    first, second = Lines(), Lines()
    # A command of this process may have silenced a library.
    levels = {name: logging.getLogger(name).level for name in LIBRARIES}
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.NOTSET)
    # So may a command that was run here have bounded the lines of pytest's handlers, by a clock of its own.
    for handler in logging.getLogger().handlers:
        for each in [each for each in handler.filters if isinstance(each, RepeatedLines)]:
            handler.removeFilter(each)
    bound = RepeatedLines(clock)
    for handler in (first, second):
        handler.addFilter(bound)
        logging.getLogger().addHandler(handler)
    yield first
    for handler in (first, second):
        logging.getLogger().removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    assert second.written == first.written


def test_a_repeated_line_is_written_once_and_then_says_how_many(lines: Lines, clock: Clock) -> None:
    """The values in it do not matter: an outage has one text and many ports, errors and numbers."""
    log = logging.getLogger("aiokafka.client")
    for number in range(50):
        log.warning("Unable connect to node with id %s: %s", number, f"refused {number}")
        log.warning(f"attempt {number} at 0x{number:x}")
    clock.now_s += EVERY_S
    log.warning("Unable connect to node with id %s: %s", 7, "refused")
    assert lines.written == [
        "WARNING Unable connect to node with id 0: refused 0",
        "WARNING attempt 0 at 0x0",
        "WARNING Unable connect to node with id 7: refused (and 49 lines like this since 10 s ago)",
    ]


def test_what_differs_is_written(lines: Lines) -> None:
    """Another text, another logger, another level, another type of error."""
    one, two = logging.getLogger("aiokafka.client"), logging.getLogger("mode.services")
    for _ in range(3):
        one.error("a")
        one.warning("a")
        one.error("b")
        two.error("a")
        one.error("a", exc_info=ValueError("x"))
        one.error("a", exc_info=KeyError("x"))
    assert len(lines.written) == 6


@pytest.mark.parametrize("name", ["meter.stage.stage", "aggregator.writer.intake", "root", "kafka", "aiokafkas"])
def test_no_other_logger_is_bounded(lines: Lines, name: str) -> None:
    """The product's own lines are there, each of them."""
    for _ in range(20):
        logging.getLogger(name).error("a")
    assert len(lines.written) == 20


@pytest.mark.parametrize("name", LIBRARIES)
def test_each_library_is_bounded(lines: Lines, name: str) -> None:
    """Also by the loggers of its modules."""
    for _ in range(20):
        logging.getLogger(f"{name}.module").error("a")
    assert len(lines.written) == 1


def test_an_error_that_is_tried_again_is_a_warning(lines: Lines) -> None:
    """A new broker has no group coordinator for a second, so every first start would log an error."""
    log = logging.getLogger("aiokafka.consumer.group_coordinator")
    log.error("Group Coordinator Request failed: %s", GroupCoordinatorNotAvailableError())
    log.error("Not allowed: %s", TopicAuthorizationFailedError())
    assert [line.split(" ")[0] for line in lines.written] == ["WARNING", "ERROR"]


def test_the_handlers_of_the_root_logger_are_bounded() -> None:
    """All that exist."""
    handler = Lines()
    log = logging.getLogger("aiokafka.test")
    log.setLevel(logging.ERROR)  # Set on itself, because a command of this process may have silenced the library.
    logging.getLogger().addHandler(handler)
    try:
        bound_repeated_lines()
        for _ in range(3):
            log.error("bounded")
    finally:
        logging.getLogger().removeHandler(handler)
        for other in logging.getLogger().handlers:
            other.filters = [each for each in other.filters if not isinstance(each, RepeatedLines)]
    assert handler.written == ["ERROR bounded"]
