"""The rulings of the project that the rules take as parameters (DOMAIN, marked R there), and their versions."""

from hmac import compare_digest
from hmac import digest as hmac_digest

import msgspec

from meter.core.rejection import Rejected
from schemas.instants import DAY_MS, MINUTE_MS
from schemas.money import STANDARD_CONVERSATION_MICROS, STANDARD_FREE_GRANT_MICROS
from schemas.policy import FIRST_VERSION, ChargesHeld, DebitOrder, PolicyRecord, UnknownWorkspace


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the rules: durations in milliseconds, money in micro-dollars.

    `gap_ms` and `future_ms` are rules of the product: they are the same in every deployment. The other fields are
    data: a policy record in the log changes them at its offset (docs/adr/0028). A new deployment begins with the values
    that its environment variables give (`meter/settings.py`), or with these defaults.
    """

    gap_ms: int = 15 * MINUTE_MS
    """The longest silence within one conversation, and the length of an Enterprise session."""
    horizon_ms: int = DAY_MS
    """The late horizon: an event that is further behind the watermark is refused."""
    future_ms: int = 5 * MINUTE_MS
    """The most that an event's time may be ahead of its arrival at Kafka."""
    grant_life_ms: int = 90 * DAY_MS
    """The term of a free grant whose command names no expiry."""
    unknown_workspace: UnknownWorkspace = "provision"
    """For a workspace that no command created: make it a Standard one, or meter it without charging."""
    debit_order: DebitOrder = "free_first"
    conversation_micros: int = STANDARD_CONVERSATION_MICROS
    """The price of a conversation on Standard."""
    free_grant_micros: int = STANDARD_FREE_GRANT_MICROS
    """The initial grant on Standard, if the command names no other."""
    seal_key: str = ""
    """The key with which policy records are sealed. The topic `policies` gives it; it never changes."""


class PolicyInForce(msgspec.Struct, frozen=True, kw_only=True):
    """A policy and its version. Each fold keeps the one in force at its place in the log, and saves it in its mark.

    `charges_held`: how the wallets charge what was held, once this version provisions it.
    """

    policy: Policy
    version: int = FIRST_VERSION
    charges_held: ChargesHeld = "at_once"

    def refusal_of(self, record: PolicyRecord) -> Rejected | None:
        """Return the refusal of a record that the product has not written: its seal is wrong. None if it is right."""
        if compare_digest(record.seal.encode(), _seal(self.policy.seal_key, record).encode()):
            return None
        return Rejected("invalid_field", "seal: only `python -m meter policy set` writes a policy")

    def after(self, record: PolicyRecord) -> "PolicyInForce":
        """The policy in force after `record`: this one if the record's version is not newer."""
        if record.version <= self.version:
            return self
        values = {name: getattr(record, name) for name in _CHANGEABLE}
        policy = msgspec.structs.replace(self.policy, **values)
        return PolicyInForce(policy=policy, version=record.version, charges_held=record.charges_held)

    def record(self) -> PolicyRecord:
        """The record that puts this policy in force, sealed."""
        values = {name: getattr(self.policy, name) for name in _CHANGEABLE}
        record = PolicyRecord(version=self.version, charges_held=self.charges_held, **values)
        return msgspec.structs.replace(record, seal=_seal(self.policy.seal_key, record))


_OWN = ("version", "charges_held", "seal", "seal_key")
_CHANGEABLE = tuple(name for name in PolicyRecord.__struct_fields__ if name not in _OWN)


def _seal(seal_key: str, record: PolicyRecord) -> str:
    values = [record.version, *(getattr(record, name) for name in _CHANGEABLE)]
    if record.charges_held != "at_once":  # The seals of earlier versions have no such value.
        values.append(record.charges_held)
    return hmac_digest(seal_key.encode(), repr(values).encode(), "sha256").hex()
