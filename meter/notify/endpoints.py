"""METER_WEBHOOKS_FILE: the endpoints that get notices as webhooks."""

import base64
import binascii
import re
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec
import yaml

from schemas.environment import SettingsError, unusable
from schemas.events import Name
from schemas.notice_templates import TEMPLATES
from schemas.notices import Notice

MAX_FILE_BYTES: Final = 1024 * 1024
MAX_ENDPOINTS: Final = 100
SECRET_BYTES: Final = range(24, 65)
"""How long a secret may be: Standard Webhooks asks for 24 to 64 bytes."""

_PREFIX: Final = "whsec_"
_TOKENS: Final = frozenset(
    name for name, template in TEMPLATES.items() if any("token" in field.name for field in template.fields)
)
"""Templates with a token that lets its reader in. They go only to endpoints that name them."""
_OTHERS: Final = frozenset(TEMPLATES) - _TOKENS


class EndpointEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One endpoint as the file has it. Exactly one of `secret` and `secret_file` is given."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}\Z")]
    url: Annotated[str, msgspec.Meta(max_length=2_000)]
    secret: str = ""
    secret_file: str = ""
    workspace_id: Name | None = None
    templates: Annotated[list[str], msgspec.Meta(min_length=1, max_length=100)] | None = None


class Endpoint(msgspec.Struct, frozen=True):
    """One endpoint, checked. `secret` is in Standard Webhooks' form, with its prefix."""

    name: str
    url: str
    secret: str
    workspace_id: str | None = None
    templates: frozenset[str] = _OTHERS

    def __repr__(self) -> str:
        """Show the name only: a URL may hold a token."""
        return f"Endpoint({self.name})"

    def wants(self, notice: Notice) -> bool:
        """Whether the endpoint gets the notice."""
        return self.workspace_id in (None, notice.workspace_id) and notice.template in self.templates


def read_endpoints(path: Path) -> list[Endpoint]:
    """Read the file: a list of endpoints in YAML or JSON. Raises SettingsError, which shows no secret and no URL."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _unusable(path, f"it has more than {MAX_FILE_BYTES} bytes")
        found = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise _unusable(path, f"it cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise _unusable(path, f"it is no YAML{f', see line {mark.line + 1}' if mark else ''}") from None
    if not isinstance(found, list) or not 1 <= len(found) <= MAX_ENDPOINTS:
        raise _unusable(path, f"it is not a list of 1 to {MAX_ENDPOINTS} endpoints")
    endpoints = [_endpoint(path, number, each) for number, each in enumerate(found, 1)]
    names = [each.name for each in endpoints]
    for number, name in enumerate(names, 1):
        if name in names[: number - 1] or name == "mail":
            raise _unusable(path, f"endpoint {number}: the name {name!r} is taken")
    return endpoints


def _endpoint(path: Path, number: int, given: Any) -> Endpoint:
    try:
        entry = msgspec.convert(given, EndpointEntry)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _unusable(path, f"endpoint {number}: {error}") from None
    wrong = _wrong_url(entry.url) or _wrong_templates(entry.templates)
    secret = entry.secret if wrong else _secret(path, number, entry)
    wrong = wrong or _wrong_secret(secret)
    if wrong:
        raise _unusable(path, f"endpoint {number} ({entry.name}): {wrong}")
    templates = _OTHERS if entry.templates is None else frozenset(entry.templates)
    return Endpoint(entry.name, entry.url, secret, entry.workspace_id, templates)


def _secret(path: Path, number: int, entry: EndpointEntry) -> str:
    if bool(entry.secret) is bool(entry.secret_file):
        raise _unusable(path, f"endpoint {number} ({entry.name}): it needs either secret or secret_file")
    if entry.secret:
        return entry.secret
    try:
        with (path.parent / entry.secret_file).open("rb") as file:
            return file.read(1_000).decode("ascii", "replace").strip()
    except OSError as error:
        why = f"secret_file {entry.secret_file} cannot be read: {error.strerror}"
        raise _unusable(path, f"endpoint {number} ({entry.name}): {why}") from error


def _wrong_url(url: str) -> str:
    """The reason why a URL cannot be used; empty if it can. A private address is the operator's choice."""
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_host = False
    if not has_host or not url.isascii() or re.search(r"[\x00-\x20\x7f]", url):
        return "url is not a URL with a host"
    if parts.scheme not in ("http", "https"):
        return "url must begin with https:// or http://"
    if parts.username is not None or parts.fragment:
        return "url must have no user, password or fragment"
    return ""


def _wrong_templates(templates: list[str] | None) -> str:
    unknown = sorted(set(templates or ()) - TEMPLATES.keys())
    return f"there is no template {unknown[0]!r}: `python -m meter notices list` shows all" if unknown else ""


def _wrong_secret(secret: str) -> str:
    try:
        length = len(base64.b64decode(secret.removeprefix(_PREFIX), validate=True))
    except (binascii.Error, ValueError):
        length = 0
    if secret.startswith(_PREFIX) and length in SECRET_BYTES:
        return ""
    return f"its secret must be {_PREFIX} and then {SECRET_BYTES[0]} to {SECRET_BYTES[-1]} bytes in base64"


def _unusable(path: Path, why: str) -> SettingsError:
    return unusable("METER_WEBHOOKS_FILE", str(path), why, "Mend the file, or set the variable to another one")
