"""Output for terminals of any encoding, in both programs."""

import io
import sys


def print_any_text() -> None:
    """Write characters that the output's encoding lacks as escapes, such as `\\u2500`, instead of failing.

    Called before a command prints anything. Names come from outside, so any text can have any character.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
