"""How hard the property tests search: as hard as a minute allows. A failure prints the blob that repeats it."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "meter", deadline=None, print_blob=True, max_examples=150, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("notice", settings.get_profile("meter"), phases=[Phase.explicit, Phase.generate])
"""For those who only ask whether there is a failure: no time is spent on making it small."""

settings.register_profile("thorough", settings.get_profile("meter"), max_examples=7_500)
"""Fifty times as hard, for a night: `pytest --hypothesis-profile thorough --timeout 0 tests/properties`."""

settings.load_profile("meter")


@pytest.fixture(autouse=True, scope="module")
def small_chunks() -> Iterator[None]:
    """Chunks of two rows, so that the units of a few sessions and a few lapses take several."""
    with patch("meter.core.wallet.chunks.CHUNK_ROWS", 2):
        yield
