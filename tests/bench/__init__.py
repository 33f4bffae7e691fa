"""How fast the meter is, beside a bare loop and beside what others would use: `make bench`."""
