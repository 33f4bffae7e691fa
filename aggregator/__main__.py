"""Run the command line: `python -m aggregator`."""

from aggregator.cli.main import main

main(prog_name="python -m aggregator")
