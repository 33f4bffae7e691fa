"""`python -m meter notices`: list the notices that the product sends, and show one with sample data."""

import difflib
import sys
import tempfile
from pathlib import Path
from typing import Final, Literal

import click

from meter.cli.deliveries import deliveries_command, replay_command
from meter.cli.errors import refusals
from meter.notify.sender import sender_of
from meter.settings import load
from schemas.exit_statuses import FAILED
from schemas.notice_fields import Template
from schemas.notice_templates import TEMPLATES

OutputFormat = Literal["text", "html", "eml"]

RECIPIENTS: Final = {
    "owner": "the bot's owner, else the workspace's owners",
    "bot_owner": "the bot's owner",
    "workspace_owners": "the workspace's owners",
    "buyer": "who placed the order",
    "invitee": "who is invited",
    "person": "who signs up",
}


@click.group("notices")
def notices_group() -> None:
    """Show the notices that people get: about balances, orders, invoices, publishing, plans. See what became of those
    that `python -m meter notify` has sent, and send them again.

    \b
    Previews send nothing. They have sample data and your seller's name and links:
    set METER_SELLER_NAME, METER_SELLER_ADDRESS, METER_PAGE_URL.
      python -m meter notices list
      python -m meter notices preview low-balance
      python -m meter notices preview purchase --open
      python -m meter notices preview purchase --format eml --output purchase.eml
      python -m meter notices deliveries --failed
      python -m meter notices replay NOTICE_ID
    """


notices_group.add_command(deliveries_command)
notices_group.add_command(replay_command)


@notices_group.command("list")
def list_command() -> None:
    """List all notices: the name, when it is sent, to whom, and its fields."""
    for template in TEMPLATES.values():
        click.echo(f"{template.name}\n  when    {template.trigger}\n  to      {RECIPIENTS[template.to]}")
        click.echo(f"  fields  {_fields(template)}\n  links   {', '.join(link.label for link in template.links)}\n")
    click.echo(f"{len(TEMPLATES)} notices. See one: python -m meter notices preview {next(iter(TEMPLATES))}")


def _fields(template: Template) -> str:
    """The fields in one line; one that is not always there with its condition."""
    about_bot = {"bot": ["bot_name"], "scope": ["bot_name (if it is about a bot)"]}.get(template.about, [])
    own = [f"{each.name} (if {each.condition()})" if each.when else each.name for each in template.fields]
    return ", ".join(about_bot + own) or "none"


@notices_group.command("preview")
@click.argument("name")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "html", "eml"]),
    help="text (the default), html, or eml: the whole mail, which mail programs open.",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file instead.")
@click.option("--open", "opens", is_flag=True, help="Open it in a browser; the default format is html then.")
def preview_command(name: str, output_format: OutputFormat | None, output: Path | None, opens: bool) -> None:
    """Show the notice NAME with sample data, as the person gets it.

    \b
    python -m meter notices preview low-balance
    python -m meter notices preview low-balance --open
    """
    if name not in TEMPLATES:
        raise click.UsageError(_no_such(name))
    chosen: OutputFormat = output_format or ("html" if opens else "text")
    with refusals():
        data = _preview(name, chosen)
    if output is None and opens:
        with tempfile.NamedTemporaryFile(prefix=f"{name}-", suffix=f".{_SUFFIX[chosen]}", delete=False) as file:
            output = Path(file.name)
    if output is None:
        sys.stdout.buffer.write(data)
        return
    write_file(output, data)
    if opens and click.launch(str(output)) != 0:
        click.echo("No program opened it: open the file yourself.", err=True)
        sys.exit(FAILED)


_SUFFIX: Final[dict[OutputFormat, str]] = {"text": "txt", "html": "html", "eml": "eml"}


def write_file(path: Path, data: bytes) -> None:
    """Write a file and print its path. Raises a click error with one sentence if that is not possible."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}. Give another --output.") from None
    click.echo(f"written to {path}")


def _no_such(name: str) -> str:
    near = difflib.get_close_matches(name, TEMPLATES, n=3, cutoff=0.6)
    advice = f"Did you mean {' or '.join(near)}?" if near else "`python -m meter notices list` shows all names."
    return f"there is no notice {name!r}. {advice}"


def _preview(name: str, output_format: OutputFormat) -> bytes:
    # The template library is loaded here, so that workers do not have it in memory.
    from meter.notify.message import message
    from meter.notify.render import render
    from meter.notify.samples import RECIPIENT, sample

    notice, sender = sample(name), sender_of(load())
    if output_format == "eml":
        return message(notice, RECIPIENT, sender).as_bytes()
    rendered = render(notice, RECIPIENT, sender)
    if output_format == "html":
        return rendered.html.encode()
    return f"To: {RECIPIENT.email}\nSubject: {rendered.subject}\n\n{rendered.text}".encode()
