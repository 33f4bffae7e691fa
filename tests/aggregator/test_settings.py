"""What the environment may say."""

import pytest

from aggregator.settings import Settings, load
from schemas.environment import SettingsError


def test_nothing_set_is_enough() -> None:
    """A worker starts with no configuration; an empty variable, as Compose passes it on, is an unset one."""
    assert load({}) == Settings()
    assert load({"METRICS_PORT": "", "HOME": "/"}) == Settings()
    assert Settings().aggregator_flush_ms == 500


def test_variables_are_read() -> None:
    """Each variable has its field, with its type."""
    settings = load(
        {
            "KAFKA_BOOTSTRAP_SERVERS": "a:1, [::1]:2",
            "CLICKHOUSE_DSN": "chdb:///data",
            "METRICS_PORT": "9200",
            "AGGREGATOR_FLUSH_MS": "50",
            "AGGREGATOR_RECONCILE_S": "0",
            "KAFKA_SESSION_TIMEOUT_S": "1.5",
        }
    )
    assert settings == Settings(
        kafka_bootstrap_servers="a:1, [::1]:2",
        clickhouse_dsn="chdb:///data",
        metrics_port=9200,
        aggregator_flush_ms=50,
        aggregator_reconcile_s=0,
        kafka_session_timeout_s=1.5,
    )
    assert settings.broker_url() == "batch://a:1;batch://[::1]:2"


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka", "HOST:PORT"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:1;b:2", "commas"),
        ("CLICKHOUSE_DSN", "postgres://x", "clickhouse://"),
        ("CLICKHOUSE_DSN", "chdb://relative/dir", "absolute"),
        ("CLICKHOUSE_DSN", "chdb:///", "absolute"),
        ("METRICS_PORT", "70000", "1 to 65535"),
        ("METRICS_PORT", "http", "1 to 65535"),
        ("AGGREGATOR_FLUSH_MS", "0", "1 to 60000"),
        ("AGGREGATOR_FLUSH_MS", "0.5", "whole milliseconds"),
        ("AGGREGATOR_RECONCILE_S", "-1", "0 for never"),
        ("KAFKA_SESSION_TIMEOUT_S", "soon", "seconds"),
        ("KAFKA_SESSION_TIMEOUT_S", "nan", "seconds"),
    ],
)
def test_wrong_value_is_refused_in_one_sentence(name: str, value: str, advice: str) -> None:
    """The sentence names the variable, the value and what to write instead."""
    with pytest.raises(SettingsError) as refusal:
        load({name: value})
    sentence = str(refusal.value)
    assert sentence.startswith(f"{name}={value!r} cannot be used: ")
    assert advice in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    "dsn", ["clickhuose://user:secret@host", "clickhuose://host?password=secret", "chdb://user:secret@relative"]
)
def test_password_is_not_repeated(dsn: str) -> None:
    """A refusal ends up in logs; a password does not."""
    with pytest.raises(
        SettingsError, match=r"^CLICKHOUSE_DSN.* cannot be used: .* Set it to clickhouse://USER"
    ) as refusal:
        load({"CLICKHOUSE_DSN": dsn})
    assert "secret" not in str(refusal.value)
