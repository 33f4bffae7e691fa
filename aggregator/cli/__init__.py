"""The command line of the aggregator: `python -m aggregator`."""
