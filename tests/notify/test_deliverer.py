"""What a delivery does after each answer, with a clock that only pauses move."""

import asyncio
from datetime import timedelta

import pytest

from meter.notify import metrics
from meter.notify.deliverer import AWAY_MAX_S, Deliverer
from meter.notify.job import ClosingError
from meter.notify.outlets import AwayError, PermanentError, TemporaryError
from schemas.deliveries import Again, Target, delivery_key
from schemas.instants import DAY_MS
from schemas.notices import NoticeError
from tests.notify.fakes import WRITTEN_MS, Clock, MemoryTopics, ScriptedOutlet, job, notice, receipts_on

MIA, NOAH = "mia@example.com", "noah@example.com"
HOUR_S = 3_600.0


class Post:
    """A deliverer with its topic, outlet and clock."""

    def __init__(self, outlet: ScriptedOutlet, topics: MemoryTopics | None = None, retry_s: float = HOUR_S) -> None:
        self.topics = topics or MemoryTopics()
        self.outlet = outlet
        self.clock = Clock(WRITTEN_MS / 1000)
        self.receipts = receipts_on(self.topics)
        self.deliverer = Deliverer(
            outlet,
            self.receipts,
            retry_s=retry_s,
            max_age_ms=7 * DAY_MS,
            clock=self.clock,
            sleep=self.clock.sleep,
        )


def counted(metric: object) -> float:
    """The value of a metric of mails."""
    return float(metric.labels("mail", "")._value.get())  # type: ignore[attr-defined]


async def test_each_recipient_has_a_receipt_before_and_after() -> None:
    post = Post(ScriptedOutlet())
    await post.deliverer.deliver(job(notice(to=[MIA, NOAH])))
    assert sorted(post.outlet.sent) == [("n-1", MIA), ("n-1", NOAH)]
    assert sorted((each.recipient, each.status) for each in post.topics.receipts()) == [
        (MIA, "begun"),
        (MIA, "sent"),
        (NOAH, "begun"),
        (NOAH, "sent"),
    ]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([PermanentError("550 no such user")], ["begun", "failed: 550 no such user"]),
        ([NoticeError("low-balance: fields.x: missing")], ["begun", "failed: low-balance: fields.x: missing"]),
        ([RuntimeError("secret")], ["begun", "failed: unexpected error: RuntimeError"]),
        ([TemporaryError("451 later")], ["begun", "waiting: 451 later", "begun", "sent"]),
        ([AwayError("no connection")], ["begun", "waiting: no connection", "begun", "sent"]),
        (
            [AwayError("no connection"), PermanentError("550 no")],
            ["begun", "waiting: no connection", "begun", "failed: 550 no"],
        ),
    ],
)
async def test_an_answer_decides_what_follows(answers: list[Exception], said: list[str]) -> None:
    """A delivery that cannot succeed is written down and passed; the notice is done either way."""
    post = Post(ScriptedOutlet())
    post.outlet.script[MIA].extend(answers)
    await post.deliverer.deliver(job())
    assert post.topics.said("n-1") == said


async def test_one_recipient_that_fails_costs_no_other_its_mail() -> None:
    post = Post(ScriptedOutlet())
    post.outlet.script[MIA].append(PermanentError("550 no"))
    await post.deliverer.deliver(job(notice(to=[MIA, NOAH])))
    assert post.outlet.sent == [("n-1", NOAH)]


async def test_a_mail_is_refused_for_the_time_being_until_the_bounded_time_is_over() -> None:
    """The pauses double, and the time counts from the first such answer, not from the writing of the notice."""
    post = Post(ScriptedOutlet(bound="refused"))
    post.clock.now_s += 9 * HOUR_S
    post.outlet.script[MIA].extend(TemporaryError("451 later") for _ in range(50))
    await post.deliverer.deliver(job())
    assert post.topics.said("n-1")[-1] == "failed: 451 later"
    assert [int(pause) for pause in post.clock.pauses[:4]] == pytest.approx([1, 2, 4, 8], abs=1.01)
    assert HOUR_S <= sum(post.clock.pauses) < 3 * HOUR_S


async def test_a_webhook_is_bounded_from_the_writing_of_the_notice_and_tried_once_at_least() -> None:
    """So an endpoint that is dead for days is never further behind than the bounded time."""
    post = Post(ScriptedOutlet(bound="written"))
    post.clock.now_s += 2 * HOUR_S
    post.outlet.script[MIA].extend(TemporaryError("503") for _ in range(50))
    await post.deliverer.deliver(job())
    assert post.topics.said("n-1") == ["begun", "waiting: 503", "failed: 503"]
    assert post.clock.pauses == []


async def test_a_server_that_is_away_costs_no_mail_however_long() -> None:
    post = Post(ScriptedOutlet(), retry_s=1)
    post.outlet.script[MIA].extend(AwayError("no connection") for _ in range(100))
    await post.deliverer.deliver(job())
    assert post.outlet.sent == [("n-1", MIA)]
    assert sum(post.clock.pauses) > HOUR_S
    assert max(post.clock.pauses) <= AWAY_MAX_S + 1


async def test_while_the_server_is_away_one_delivery_tries_and_the_others_wait() -> None:
    post = Post(ScriptedOutlet(slots=2))
    post.outlet.away = 12
    people = [f"p{number}@example.com" for number in range(20)]
    await post.deliverer.deliver(job(notice(to=people)))
    assert sorted(person for _, person in post.outlet.sent) == sorted(people)
    failed = [person for _, person in post.outlet.attempts[:12]]
    assert len(set(failed)) <= 2
    assert max(failed.count(person) for person in failed) >= 11


async def test_attempts_under_way_are_bounded() -> None:
    post = Post(ScriptedOutlet(slots=3))
    post.outlet.hold = True
    task = asyncio.create_task(
        post.deliverer.deliver(job(notice(to=[f"p{number}@example.com" for number in range(9)])))
    )
    for _ in range(3):
        await post.outlet.begun.get()
    post.outlet.go.set()
    await task
    assert (post.outlet.most, len(post.outlet.sent)) == (3, 9)


async def test_what_was_sent_is_not_sent_again_by_another_process() -> None:
    """The same notice written twice, as a replay of the wallet does, is one mail."""
    first = Post(ScriptedOutlet())
    await first.deliverer.deliver(job())
    second = Post(ScriptedOutlet(), first.topics)
    await second.receipts.catch_up()
    repeated = counted(metrics.REPEATED)
    await second.deliverer.deliver(job(offset=7))
    assert second.outlet.attempts == []
    assert counted(metrics.REPEATED) == repeated + 1


async def test_two_copies_of_a_notice_at_once_are_one_mail() -> None:
    post = Post(ScriptedOutlet())
    post.outlet.hold = True
    tasks = [asyncio.create_task(post.deliverer.deliver(job(offset=offset))) for offset in (0, 1, 2)]
    await post.outlet.begun.get()
    post.outlet.go.set()
    await asyncio.gather(*tasks)
    assert post.outlet.attempts == [("n-1", MIA)]


async def test_an_attempt_of_which_no_end_is_known_is_made_again_and_counted() -> None:
    """At least once: the process ended between `begun` and the next receipt."""
    first = Post(ScriptedOutlet())
    first.outlet.hold = True
    task = asyncio.create_task(first.deliverer.deliver(job()))
    await first.outlet.begun.get()
    task.cancel()
    second = Post(ScriptedOutlet(), first.topics)
    await second.receipts.catch_up()
    uncertain = counted(metrics.UNCERTAIN)
    await second.deliverer.deliver(job())
    assert second.outlet.sent == [("n-1", MIA)]
    assert counted(metrics.UNCERTAIN) == uncertain + 1


async def test_a_failed_attempt_that_another_process_repeats_is_not_uncertain() -> None:
    topics = MemoryTopics()
    first = Post(ScriptedOutlet(), topics)
    first.deliverer = Deliverer(first.outlet, first.receipts, retry_s=HOUR_S, max_age_ms=DAY_MS, clock=first.clock)
    first.outlet.script[MIA].append(TemporaryError("451"))
    task = asyncio.create_task(first.deliverer.deliver(job()))
    await topics.appended.get()
    await topics.appended.get()
    first.deliverer.close_soon()
    with pytest.raises(ClosingError):
        await task
    second = Post(ScriptedOutlet(), topics)
    await second.receipts.catch_up()
    uncertain = counted(metrics.UNCERTAIN)
    await second.deliverer.deliver(job())
    assert topics.said("n-1") == ["begun", "waiting: 451", "begun", "sent"]
    assert counted(metrics.UNCERTAIN) == uncertain


async def test_closing_lets_an_attempt_end_and_begins_no_other() -> None:
    post = Post(ScriptedOutlet(slots=1))
    post.outlet.hold = True
    task = asyncio.create_task(post.deliverer.deliver(job(notice(to=[MIA, NOAH]))))
    await post.outlet.begun.get()
    post.deliverer.close_soon()
    post.outlet.go.set()
    with pytest.raises(ClosingError):
        await task
    assert post.outlet.sent == [("n-1", MIA)]
    assert post.topics.said("n-1") == ["begun", "sent"]


@pytest.mark.parametrize(("late", "sends"), [(timedelta(days=7), True), (timedelta(days=7, milliseconds=1), False)])
async def test_a_notice_written_long_after_its_event_is_not_sent(late: timedelta, sends: bool) -> None:
    """A rebuild writes notices of the past again. One that waited on its topic for weeks is not old in this sense."""
    post = Post(ScriptedOutlet())
    post.clock.now_s += 30 * 24 * HOUR_S
    await post.deliverer.deliver(job(late=late))
    assert post.topics.said("n-1") == (["begun", "sent"] if sends else ["stale: written 168.0 h after its event"])
    again = Again("a1", (Target("mail", MIA),))
    await post.deliverer.deliver(job(late=late, again=again))
    assert post.outlet.sent[-1:] == [("n-1", MIA)]


async def test_a_directory_takes_notices_of_any_age() -> None:
    post = Post(ScriptedOutlet(judges_age=False))
    await post.deliverer.deliver(job(late=timedelta(days=900)))
    assert post.outlet.sent == [("n-1", MIA)]


async def test_a_replay_sends_again_to_its_targets_only_and_once() -> None:
    post = Post(ScriptedOutlet())
    everyone = notice(to=[MIA, NOAH])
    await post.deliverer.deliver(job(everyone))
    again = Again("a1", (Target("mail", NOAH), Target("webhook", MIA)))
    await post.deliverer.deliver(job(everyone, offset=1, again=again))
    await post.deliverer.deliver(job(everyone, offset=2, again=again))
    assert post.outlet.sent[2:] == [("n-1", NOAH)]
    assert post.receipts.is_final(delivery_key("n-1", "mail", NOAH, "a1"))


async def test_a_record_that_is_no_notice_is_written_down_once() -> None:
    post = Post(ScriptedOutlet())
    await post.deliverer.refuse(3, 17, "the record is no notice: \x1b[31mjunk\n")
    await post.deliverer.refuse(3, 17, "the record is no notice: junk")
    assert post.topics.said("notices/3/17") == ["failed: the record is no notice: [31mjunk"]


async def test_every_metric_begins_at_0() -> None:
    ScriptedOutlet.endpoint = "new"
    try:
        Post(ScriptedOutlet())
    finally:
        ScriptedOutlet.endpoint = ""
    shown = {
        sample.name for each in metrics.REGISTRY.collect() for sample in each.samples if "new" in sample.labels.values()
    }
    wanted = ("sent_total", "failed_total", "retried_total", "repeated_total", "stale_total", "uncertain_total")
    gauges = {"meter_notify_waiting", "meter_notify_oldest_waiting_seconds"}
    assert {f"meter_notify_{each}" for each in wanted} | gauges <= shown
