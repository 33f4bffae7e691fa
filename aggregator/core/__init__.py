"""Pure functions: Kafka records to the columns of the tables, and the rules of reconciliation. No I/O, no clock."""
