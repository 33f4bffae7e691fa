"""The port of the metrics: the first free one, or the one that was asked for."""

import errno
from collections.abc import Callable

import pytest

from schemas.listening import PORTS_TRIED, PortsTakenError, listen

HOST = "127.0.0.1"


def starting(free: range, code: int = errno.EADDRINUSE) -> Callable[[int, str], None]:
    """A server that can listen on the ports of `free`."""

    def start(port: int, host: str) -> None:
        assert host == HOST
        if port not in free:
            raise OSError(code, "it is taken")

    return start


def test_the_first_free_port_is_taken() -> None:
    """From the program's first port on, to the last that is tried."""
    assert listen(starting(range(9_103, 9_110)), HOST, 0, 9_100) == 9_103
    last = 9_100 + PORTS_TRIED - 1
    assert listen(starting(range(last, last + 1)), HOST, 0, 9_100) == last


def test_a_port_that_is_given_is_that_port() -> None:
    """A neighbour that is free is none."""
    assert listen(starting(range(9_200, 9_201)), HOST, 9_200, 9_100) == 9_200
    with pytest.raises(PortsTakenError, match=r"^METRICS_PORT='9199' cannot be used: port 9199 is not free on"):
        listen(starting(range(9_200, 9_201)), HOST, 9_199, 9_100)


@pytest.mark.parametrize("code", [errno.EADDRINUSE, errno.EACCES])
def test_no_free_port_is_refused(code: int) -> None:
    """By the first and the last that were tried."""
    with pytest.raises(
        PortsTakenError, match=r"^METRICS_PORT='0' cannot be used: no port from 9100 to 10099 is free on"
    ):
        listen(starting(range(0), code), HOST, 0, 9_100)


def test_a_host_that_is_not_this_machine_is_refused() -> None:
    """At once: another port would not help."""
    with pytest.raises(PortsTakenError, match=r"^METRICS_HOST='127\.0\.0\.1' cannot be used: it is taken\. Set it to"):
        listen(starting(range(0), errno.EADDRNOTAVAIL), HOST, 0, 9_100)
