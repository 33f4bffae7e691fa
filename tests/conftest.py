"""The order of the whole suite when it runs in several processes (`make test`)."""

import pytest


@pytest.hookimpl(tryfirst=True)  # The plugin that runs several processes reads the groups at the same moment.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests that start brokers and workers in one process, one after another: each needs a processor."""
    for item in items:
        if item.get_closest_marker("integration"):
            item.add_marker(pytest.mark.xdist_group("integration"))
