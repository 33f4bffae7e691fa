"""How hard the property tests search: as hard as a minute allows. A failure prints the blob that repeats it."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "meter", deadline=None, print_blob=True, max_examples=150, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("meter")
