"""How long events take to their debits, to the last credit used up, and to ClickHouse, on real processes."""
