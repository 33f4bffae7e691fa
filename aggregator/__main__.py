"""`python -m aggregator`."""

from aggregator.cli import main

main(prog_name="python -m aggregator")
