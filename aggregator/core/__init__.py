"""What a row is: pure functions from pages and dead letters to columns. No I/O, no clock."""
