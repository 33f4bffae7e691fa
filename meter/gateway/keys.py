"""API keys: random texts of which only hashes are kept, in a file that commands write and the gateway reads.

A key has 256 random bits, so a hash of it cannot be reversed by trying keys, and one SHA-256 is enough. Functions made
to be slow, such as argon2, protect passwords, which people choose; here they would only slow down each request.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from schemas.events import Name
from schemas.instants import rfc3339, to_ms

KeyRole = Literal["platform_admin", "owner", "admin", "runtime"]
"""platform_admin: of the vendor, for all workspaces. owner, admin: of one workspace. runtime: the bots of one."""

MAX_KEYS: Final = 10_000
_TOKEN: Final = re.compile(r"meter_([0-9a-f]{12})_[A-Za-z0-9_-]{43}", re.ASCII)
_NO_HASH: Final = "0" * 64

KeyName = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*\Z")]


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key without its secret. `sha256` is the hash of the whole key, in hexadecimal digits.

    `workspace_id` is "" for a platform administrator. `expires_at` is None for a key without an end.
    """

    key_id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{12}$")]
    name: KeyName
    role: KeyRole
    workspace_id: Annotated[str, msgspec.Meta(max_length=512)] = ""
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    created_at: str
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None

    def is_expired(self, now_ms: int) -> bool:
        """Whether the key has come to its end."""
        return self.expires_at is not None and to_ms(self.expires_at) <= now_ms


class KeyFile(msgspec.Struct, frozen=True, kw_only=True):
    """The file of keys."""

    format: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1
    keys: Annotated[list[ApiKey], msgspec.Meta(max_length=MAX_KEYS)] = []


class KeyRefusedError(Exception):
    """A key cannot be made. The message says why."""


class _Scope(msgspec.Struct):
    workspace_id: Name


def make_key(
    name: str, role: KeyRole, workspace_id: str, expires_at: datetime | None, now_ms: int
) -> tuple[str, ApiKey]:
    """Return a new key, and what is kept of it. The key itself cannot be found again. Raises KeyRefusedError."""
    if (role == "platform_admin") == bool(workspace_id):
        needs = "is for all workspaces: leave out --workspace" if workspace_id else "is for one workspace: name it"
        raise KeyRefusedError(f"a key with the role {role} {needs}")
    key_id = secrets.token_hex(6)
    token = f"meter_{key_id}_{secrets.token_urlsafe(32)}"
    made = ApiKey(
        key_id=key_id,
        name=name,
        role=role,
        workspace_id=workspace_id,
        sha256=_hash(token),
        created_at=rfc3339(now_ms),
        expires_at=expires_at,
    )
    try:
        msgspec.convert(msgspec.to_builtins(made), ApiKey)
        if workspace_id:
            msgspec.convert({"workspace_id": workspace_id}, _Scope)
    except msgspec.ValidationError as error:
        raise KeyRefusedError(f"the key cannot be made: {str(error).replace('`', '')}") from error
    return token, made


class KeyRing:
    """Keys to look up. Knows nothing of files."""

    def __init__(self, keys: Iterable[ApiKey] = (), clock: Callable[[], float] = time.time) -> None:
        self._by_id = {key.key_id: key for key in keys}
        self._clock = clock

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._by_id

    def is_valid(self, key: ApiKey) -> bool:
        """Whether a key that was found before is still known, and has not expired."""
        return self._by_id.get(key.key_id) == key and not key.is_expired(int(self._clock() * 1000))

    def find(self, token: str) -> ApiKey | None:
        """Return the key with this text, if it is known and has not expired.

        The part of the text that is looked up is no secret; all of it is compared as a hash, in constant time, also
        where there is no such key.
        """
        form = _TOKEN.fullmatch(token)
        found = self._by_id.get(form[1]) if form else None
        is_same = hmac.compare_digest(_hash(token), found.sha256 if found else _NO_HASH)
        if found is None or not is_same or found.is_expired(int(self._clock() * 1000)):
            return None
        return found


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
