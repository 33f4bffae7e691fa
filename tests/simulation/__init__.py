"""The whole pipeline without processes or a wall clock, drawn from a seed."""
