"""The table of topics: what is said where the broker or a topic is not there."""

from schemas.topics import DEAD_LETTERS, EVENT_COUNTS, LEDGER, missing_topics, no_broker


def test_topics_that_are_missing_are_named() -> None:
    """Those that were asked for, with the command that makes them; nothing is said where all are there."""
    wanted = (LEDGER, DEAD_LETTERS, EVENT_COUNTS)
    sentence = missing_topics(wanted, ["ledger", "others"])
    assert sentence == "the topics dead-letters, event-counts do not exist: run `python -m meter topics` first"
    assert missing_topics(wanted, ["event-counts", "ledger", "dead-letters"]) is None


def test_a_broker_that_is_away_is_named_by_its_address() -> None:
    """With the variable that says where it is."""
    assert no_broker("a:1,b:2").startswith(
        "no Kafka broker answers at a:1,b:2: start it, or set KAFKA_BOOTSTRAP_SERVERS"
    )
