"""Exit statuses of both programs: what a supervisor, or a script, has to do next."""

from typing import Final

FAILED: Final = 1
"""The work could not be done, or not all of it: a server is away, something is missing yet, figures differ.

Started again later, the same command may succeed.
"""

USAGE_ERROR: Final = 2
"""Wrong options, a variable that cannot be used, a feed that cannot be read. The same command fails again."""

CRASHED: Final = 70
"""A worker ended after an unexpected error. Nothing is cleaned up: the restart restores the newest checkpoint."""

REFUSED: Final = 78
"""A program must not go on with what it finds, and an operator has to act. Its last line says what to do.

To start it again does not help, so a supervisor should not. The same at a start and while it runs.
"""

STOPPED: Final = 130
"""A command ended because of SIGTERM or Ctrl-C. A worker ends with 0."""
