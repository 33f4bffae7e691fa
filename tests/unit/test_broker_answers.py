"""Whether a broker answers is known from the answers of the last seconds."""

from typing import Any

import pytest

from meter.kafka import noted_answers
from schemas.broker_answers import SILENT_S, Answers


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_silence_is_an_outage() -> None:
    """Before the first answer as well as after the last one."""
    clock = Clock()
    answers = Answers(clock)
    assert not answers.is_up()
    answers.note()
    clock.now_s += SILENT_S - 0.1
    assert answers.is_up()
    clock.now_s += 0.2
    assert not answers.is_up()
    answers.note()
    assert answers.is_up()


@pytest.mark.parametrize(("answer", "is_noted"), [("response", True), (None, True), (True, True), (False, False)])
async def test_each_answer_of_a_broker_is_noted(
    monkeypatch: pytest.MonkeyPatch, answer: object, *, is_noted: bool
) -> None:
    """A request for metadata returns False where no broker answered it. The answer is passed on."""
    answers = Answers()
    monkeypatch.setattr(noted_answers, "ANSWERS", answers)

    async def request(*_: Any, **__: Any) -> object:
        return answer

    assert await noted_answers._noting(request)(1, word=2) is answer
    assert answers.is_up() == is_noted


async def test_a_request_that_fails_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its error is passed on."""
    answers = Answers()
    monkeypatch.setattr(noted_answers, "ANSWERS", answers)

    async def request() -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await noted_answers._noting(request)()
    assert not answers.is_up()
