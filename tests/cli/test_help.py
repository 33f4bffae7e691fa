"""The help teaches: every command says what it does and which options it takes."""

import msgspec
import pytest

from meter.settings import Settings
from tests.integration.processes import command, environment

pytestmark = pytest.mark.integration

_TABLES = ("conversations", "ledger", "usage_daily", "usage_monthly", "balances", "dead_letters")


@pytest.mark.parametrize(
    ("words", "taught"),
    [
        (("meter",), ("run", "sql", "worker", "topics", "produce", "drained", "KAFKA_BOOTSTRAP_SERVERS")),
        (("meter", "run"), ("--feed", "--data", "--once", "CloudEvents", "gzipped")),
        (("meter", "sql"), ("--data", "--format", "CSVWithNames", "JSONEachRow", "PrettyCompact", *_TABLES)),
        (("meter", "worker"), ("SIGTERM",)),
        (("meter", "topics"), ("missing",)),
        (("meter", "produce"), ("--feed", "--close")),
        (("meter", "drained"), ("--timeout",)),
        (("meter", "gateway"), ("/v1/events", "/v1/commands", "/v1/entitlements", "METER_API_KEYS_FILE", "TLS")),
        (("meter", "keys"), ("add", "list", "revoke", "METER_API_KEYS_FILE")),
        (("meter", "keys", "add"), ("--name", "--role", "--workspace", "--expires", "runtime")),
        (("meter", "entitlements", "watch"), ("--workspace", "--json", "--once")),
        (("meter", "plans"), ("--plan", "--format", "json", "standard", "enterprise", "micro-dollars")),
        (("meter", "notices"), ("list", "preview", "deliveries", "replay", "METER_PAGE_URL", "METER_SELLER_NAME")),
        (("meter", "notify"), ("SIGTERM", "METER_SMTP_URL", "METER_WEBHOOKS_FILE", "METER_MAIL_DIR")),
        (("meter", "notices", "deliveries"), ("--notice", "--failed", "--channel", "--since", "--json", "stale")),
        (("meter", "notices", "replay"), ("NOTICE_ID", "--channel", "--recipient", "--sent-too")),
        (("meter", "notices", "preview"), ("NAME", "--format", "eml", "--open", "--output")),
        (("meter", "invoices"), ("preview", "METER_SELLER_TAX_ID")),
        (("meter", "invoices", "preview"), ("--output", "METER_INVOICE_FONTS")),
        (("meter", "dead-letters"), ("list", "show", "replay", "TOPIC/PARTITION/OFFSET")),
        (("meter", "dead-letters", "list"), ("--code", "--topic", "--since", "--limit", "json", "refused again")),
        (("meter", "dead-letters", "show"), ("--raw",)),
        (("meter", "dead-letters", "replay"), ("--file", "--code", "--all", "--dry-run", "--force", "late", "once")),
        (("aggregator",), ("migrate", "worker", "CLICKHOUSE_DSN", "chdb:///DIR")),
        (("aggregator", "migrate"), ("CLICKHOUSE_DSN",)),
        (("aggregator", "worker"), ("SIGTERM", "CLICKHOUSE_DSN")),
    ],
)
def test_help_names_what_is_fixed(words: tuple[str, ...], taught: tuple[str, ...]) -> None:
    """The fixed commands and options, on standard output, with status 0."""
    done = command(*words, "--help", env=environment())
    assert (done.returncode, done.stderr) == (0, "")
    assert [word for word in taught if word not in done.stdout] == []


def test_help_names_every_variable_of_the_meter() -> None:
    """Each one on a line of its own."""
    listed = [line.split()[0] for line in command("meter", "--help", env=environment()).stdout.splitlines() if line]
    assert {field.encode_name for field in msgspec.structs.fields(Settings)} <= set(listed)
