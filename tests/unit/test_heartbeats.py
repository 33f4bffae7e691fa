"""Membership in a consumer group, by the heartbeats that were answered."""

from types import SimpleNamespace

from meter.kafka.heartbeats import Heartbeats


class Coordinator:
    """A coordinator of aiokafka's, whose heartbeats take a time and have an answer."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.takes_s = 0.0
        self.answer = True

    async def _do_heartbeat(self) -> bool:
        self.now_s += self.takes_s
        return self.answer


async def test_a_member_is_known_for_half_of_the_session_after_an_answered_heartbeat() -> None:
    coordinator = Coordinator()
    heartbeats = Heartbeats(10, lambda: coordinator.now_s)
    heartbeats.watch(SimpleNamespace(_coordinator=coordinator))
    assert not heartbeats.is_member()
    assert await coordinator._do_heartbeat()
    coordinator.now_s += 4.9
    assert heartbeats.is_member()
    coordinator.now_s += 0.1
    assert not heartbeats.is_member()


async def test_an_answer_that_is_read_after_a_pause_proves_nothing() -> None:
    """The time of sending counts."""
    coordinator = Coordinator()
    heartbeats = Heartbeats(10, lambda: coordinator.now_s)
    heartbeats.watch(SimpleNamespace(_coordinator=coordinator))
    coordinator.takes_s = 30
    assert await coordinator._do_heartbeat()
    assert not heartbeats.is_member()


async def test_a_heartbeat_that_is_refused_proves_nothing() -> None:
    coordinator = Coordinator()
    coordinator.answer = False
    heartbeats = Heartbeats(10, lambda: coordinator.now_s)
    heartbeats.watch(SimpleNamespace(_coordinator=coordinator))
    assert not await coordinator._do_heartbeat()
    assert not heartbeats.is_member()
