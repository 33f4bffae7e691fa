"""Search for the port on which a program listens: the port that is set, or the first free one."""

import errno
from collections.abc import Callable
from typing import Final

PORTS_TRIED: Final = 1_000
"""How many ports are tried if none is set."""


class PortsTakenError(Exception):
    """The program cannot listen. The message names the variable and says what to do."""


def listen(
    start: Callable[[int, str], object], host: str, port: int, first_port: int, variables: str = "METRICS"
) -> int:
    """Start a server on `host` and return its port.

    `start(port, host)` starts it, or raises OSError if it cannot listen there. With port 0 the PORTS_TRIED ports from
    `first_port` on are tried, so several workers start on one machine without a setting. Any other port is tried alone.
    `variables` begins the names of the two variables that set host and port. Raises PortsTakenError.
    """
    ports = [port] if port else range(first_port, first_port + PORTS_TRIED)
    for candidate in ports:
        try:
            start(candidate, host)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise PortsTakenError(
                    f"{variables}_HOST={host!r} cannot be used: {error.strerror}. "
                    "Set it to an address of this machine, such as 127.0.0.1 or 0.0.0.0."
                ) from error
            continue
        return candidate
    why = f"port {port} is not free" if port else f"no port from {ports[0]} to {ports[-1]} is free"
    raise PortsTakenError(
        f"{variables}_PORT='{port}' cannot be used: {why} on {host}. "
        "Set it to a free port, or to 0 to take the first free one."
    )
