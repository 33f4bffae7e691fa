"""The rules of reconciliation: the SQL that reads the figures, and which figures have to be equal."""
