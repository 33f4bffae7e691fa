"""The whole pipeline on this machine, with embedded engines."""
