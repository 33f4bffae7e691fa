"""The payment gateway that the settings name."""

from importlib.util import find_spec
from pathlib import Path

from meter.payments.gateway import Gateway
from meter.payments.sandbox import Sandbox
from meter.settings import Settings
from schemas.environment import unusable

MAX_KEY_BYTES = 4_096


def gateway_of(settings: Settings) -> Gateway:
    """Return the gateway of METER_PAYMENTS. Raises SettingsError if its key cannot be read, or it is not installed."""
    if settings.meter_payments == "sandbox":
        return Sandbox()
    if find_spec("stripe") is None:
        advice = "Install the product with its extra, stripe, or set METER_PAYMENTS=sandbox"
        raise unusable("METER_PAYMENTS", "stripe", "the library stripe is not installed", advice)
    from meter.payments.stripe_gateway import StripeGateway

    return StripeGateway(_key(settings.meter_stripe_key_file))


def _key(file: str) -> str:
    """The secret key in the file. It is in no message."""
    advice = "Set it to the path of a file with the secret key alone"
    if not file:
        raise unusable("METER_STRIPE_KEY_FILE", file, "METER_PAYMENTS=stripe needs it", advice)
    try:
        with Path(file).open("rb") as opened:
            key = opened.read(MAX_KEY_BYTES + 1).decode("ascii").strip()
    except OSError as error:
        raise unusable("METER_STRIPE_KEY_FILE", file, f"it cannot be read ({error.strerror})", advice) from error
    except UnicodeDecodeError as error:
        raise unusable("METER_STRIPE_KEY_FILE", file, "it does not hold a key", advice) from error
    if not key or len(key) > MAX_KEY_BYTES or any(character.isspace() for character in key):
        raise unusable("METER_STRIPE_KEY_FILE", file, "it does not hold a key", advice)
    return key
