"""Settings of `notify` that cannot be used are refused at the start, and no secret is shown."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from click.testing import CliRunner, Result

from meter.cli.main import main
from meter.kafka.topics import TopicsError
from meter.notify.endpoints import Endpoint, read_endpoints
from meter.notify.mail import DirectoryOutlet, SmtpOutlet
from meter.notify.smtp_url import MailServer, parse
from meter.notify.webhooks import WebhookOutlet
from meter.notify.worker import outlets
from meter.settings import load
from schemas.environment import SettingsError
from schemas.formats import NewerFormatError
from tests.notify.fakes import notice

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def meter(*words: str, **variables: str) -> Result:
    """Run a command of the meter's in this process."""
    return CliRunner().invoke(main, list(words), env=variables)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example.com", MailServer("mail.example.com", 25, "none")),
        ("smtp://127.0.0.1:2525/", MailServer("127.0.0.1", 2525, "none")),
        ("smtp://u:p@[::1]:2525", MailServer("::1", 2525, "none", "u", "p")),
        ("smtps://u:p@mail.example.com", MailServer("mail.example.com", 465, "tls", "u", "p")),
        ("smtp+starttls://u%40x:p%3A%2F@mail:2587", MailServer("mail", 2587, "starttls", "u@x", "p:/")),
        ("smtp+starttls://mail", MailServer("mail", 587, "starttls")),
    ],
)
def test_a_mail_server_is_read_from_its_url(url: str, server: MailServer) -> None:
    found = parse(url)
    assert (found.host, found.port, found.security, found.user, found.password) == (
        server.host,
        server.port,
        server.security,
        server.user,
        server.password,
    )
    assert not server.password or repr(found) == f"{server.host}:{server.port}"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mail.example.com", "does not begin with smtp://"),
        ("http://mail.example.com", "does not begin with smtp://"),
        ("smtp://", "no host"),
        ("smtp://mail:port-sesame", "not a URL with a host and a port"),
        ("smtp://mail:99999", "not a URL with a host and a port"),
        ("smtp://mail/sesame", "more than a host and a port"),
        ("smtps://mail?sesame", "more than a host and a port"),
        ("smtps://user@mail", "a user without a password"),
        ("smtps://:sesame@mail", "a password without a user"),
        ("smtp://user:sesame@mail.example.com", "without encryption"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_and_not_shown(url: str, why: str) -> None:
    done = meter("notify", METER_SMTP_URL=url)
    assert done.exit_code == 2
    assert done.output.startswith("Error: METER_SMTP_URL, not shown")
    assert why in done.output
    assert "sesame" not in done.output


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({}, "there is nowhere to send notices to: set METER_SMTP_URL"),
        ({"METER_SMTP_URL": "smtp://mail", "METER_MAIL_DIR": "/tmp/x"}, "unset one of them"),
        ({"METER_MAIL_DIR": "/dev/null/x"}, "METER_MAIL_DIR='/dev/null/x' cannot be used: Not a directory."),
        ({"METER_WEBHOOKS_FILE": "/missing.yml"}, "cannot be used: it cannot be read: No such file or directory."),
        ({"METER_NOTIFY_RETRY_H": "-1"}, "Set it to hours from 0 to 720."),
        ({"METER_NOTICE_MAX_AGE_H": "0"}, "Set it to hours above 0 and up to 2160."),
    ],
)
def test_settings_that_say_nothing_or_too_much_are_refused(variables: dict[str, str], why: str) -> None:
    done = meter("notify", **variables)
    assert (done.exit_code, why in done.output) == (2, True), done.output


def test_a_broker_that_is_away_is_a_failure_and_no_wrong_setting(tmp_path: Path, closed_port: int) -> None:
    """A supervisor starts the program again."""
    variables = {"METER_MAIL_DIR": str(tmp_path), "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{closed_port}"}
    for words in (("notify",), ("notices", "deliveries"), ("notices", "replay", "n-1")):
        done = meter(*words, **variables)
        assert (done.exit_code, "no Kafka broker answers" in done.output) == (1, True), done.output


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KafkaConnectionError("away"), 1),
        (TopicsError("no producer"), 1),
        (NewerFormatError("a newer version wrote this"), 78),
        (RuntimeError("bug"), 70),
    ],
)
def test_the_program_ends_with_the_status_of_its_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, status: int
) -> None:
    """A supervisor starts it again after 1 and 70 only."""

    async def fits(_: str) -> SimpleNamespace:
        return SimpleNamespace(warnings=[])

    async def run(*_: object) -> None:
        raise error

    monkeypatch.setattr("meter.kafka.admin.require_fitting_topics", fits)
    monkeypatch.setattr("meter.notify.worker.run", run)
    done = meter("notify", METER_MAIL_DIR=str(tmp_path))
    assert done.exit_code == status, done.output


def entry(**changes: Any) -> dict[str, Any]:
    """An endpoint in the file; a change to None takes a field away."""
    given = {"name": "console", "url": "https://example.com/hooks?key=sesame", "secret": SECRET} | changes
    return {name: value for name, value in given.items() if value is not None}


def written(path: Path, value: Any) -> Path:
    """A file of endpoints, in JSON."""
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def test_endpoints_are_read_from_yaml_and_json(tmp_path: Path) -> None:
    (tmp_path / "s.secret").write_text(f"{SECRET}\n", encoding="ascii")
    yaml = tmp_path / "w.yml"
    yaml.write_text(
        "- name: console\n  url: https://example.com/hooks\n  secret_file: s.secret\n  workspace_id: ws-0\n"
        "- {name: b, url: 'http://10.0.0.7:8080/', secret: " + SECRET + ", templates: [purchase, invitation]}\n",
        encoding="utf-8",
    )
    first, second = read_endpoints(yaml)
    assert (first.name, first.url, first.secret, first.workspace_id) == (
        "console",
        "https://example.com/hooks",
        SECRET,
        "ws-0",
    )
    assert second.templates == {"purchase", "invitation"}
    assert read_endpoints(written(tmp_path / "w.json", [entry()]))[0].name == "console"
    assert "sesame" not in repr(read_endpoints(tmp_path / "w.json"))


def test_an_endpoint_gets_its_workspace_and_its_templates_and_no_token_unasked(tmp_path: Path) -> None:
    """The token of an invitation lets its reader in."""
    (everything,) = read_endpoints(written(tmp_path / "a.json", [entry()]))
    (some,) = read_endpoints(
        written(tmp_path / "b.json", [entry(workspace_id="corner-books", templates=["invitation"])])
    )
    assert everything.wants(notice(template="low-balance"))
    assert not any(everything.wants(notice(template=name)) for name in ("invitation", "signup-confirm"))
    assert some.wants(notice(template="invitation"))
    assert not some.wants(notice(template="low-balance"))
    other = Endpoint("x", "https://e", SECRET, workspace_id="ws-other")
    assert not other.wants(notice())


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({}, "it is not a list of 1 to 100 endpoints"),
        ([], "it is not a list of 1 to 100 endpoints"),
        ([entry(name=f"e{number}") for number in range(101)], "it is not a list of 1 to 100 endpoints"),
        (["x"], "endpoint 1: Expected `object`, got `str`"),
        ([entry(name="A b")], "endpoint 1: "),
        ([entry(), entry()], "endpoint 2: the name 'console' is taken"),
        ([entry(name="mail")], "endpoint 1: the name 'mail' is taken"),
        ([entry(colour="red")], "endpoint 1: Object contains unknown field `colour`"),
        ([entry(url="ftp://example.com/sesame")], "(console): url must begin with https:// or http://"),
        ([entry(url="https://u:sesame@example.com")], "(console): url must have no user, password or fragment"),
        ([entry(url="https:///sesame")], "(console): url is not a URL with a host"),
        ([entry(url="https://example.com/sesame\n")], "(console): url is not a URL with a host"),
        ([entry(url="https://[::1/sesame")], "(console): url is not a URL with a host"),
        ([entry(templates=["low-balence"])], "(console): there is no template 'low-balence'"),
        ([entry(secret=None)], "(console): it needs either secret or secret_file"),
        ([entry(secret_file="x")], "(console): it needs either secret or secret_file"),
        ([entry(secret=None, secret_file="missing")], "(console): secret_file missing cannot be read"),
        ([entry(secret="sesame")], "(console): its secret must be whsec_ and then 24 to 64 bytes in base64"),
        ([entry(secret="whsec_c2VzYW1l")], "(console): its secret must be whsec_ and then 24 to 64 bytes in base64"),
        ([entry(secret="whsec_\u00e9")], "(console): its secret must be whsec_ and then 24 to 64 bytes in base64"),
    ],
)
def test_a_file_of_endpoints_that_cannot_be_used_is_refused(tmp_path: Path, found: Any, why: str) -> None:
    """The sentence names the endpoint, and shows neither its secret nor its URL."""
    done = meter("notify", METER_WEBHOOKS_FILE=str(written(tmp_path / "w.json", found)))
    assert done.exit_code == 2
    assert why in done.output
    assert not any(hidden in done.output for hidden in ("sesame", "c2VzYW1l", SECRET))


@pytest.mark.parametrize("text", ["- name: [", "- !!python/object/apply:os.system [true]", "\x00", "- *missing"])
def test_a_file_that_is_no_yaml_is_refused_and_runs_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "w.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match="it is no YAML"):
        read_endpoints(path)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "w.yml"
    path.write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(SettingsError, match="more than 1048576 bytes"):
        read_endpoints(path)


async def test_mail_and_each_endpoint_have_a_group_of_their_own(tmp_path: Path) -> None:
    """So none of them waits for another."""
    hooks = written(tmp_path / "w.json", [entry(), entry(name="other")])
    env = {"METER_MAIL_DIR": str(tmp_path / "mails"), "METER_WEBHOOKS_FILE": str(hooks)}
    ways = outlets(load(env))
    assert [type(each) for each in ways] == [DirectoryOutlet, WebhookOutlet, WebhookOutlet]
    assert [each.group for each in ways] == ["notify-mail", "notify-webhook-console", "notify-webhook-other"]
    assert isinstance(outlets(load({"METER_SMTP_URL": "smtp://mail"}))[0], SmtpOutlet)
