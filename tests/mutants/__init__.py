"""Known bugs, brought back one at a time."""
