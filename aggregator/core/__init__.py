"""What a row is: pure functions from updates and dead letters to columns. No I/O, no clock."""
