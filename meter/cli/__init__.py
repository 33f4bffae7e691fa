"""The command line of the meter: `python -m meter`."""
