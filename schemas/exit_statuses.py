"""Exit statuses of workers that a supervisor has to distinguish."""

from typing import Final

REFUSED: Final = 78
"""A worker must not go on with what it finds, and an operator has to act. Its last line says what to do.

To start it again does not help, so a supervisor should not.
"""
