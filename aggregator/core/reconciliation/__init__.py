"""Rules of reconciliation: what is compared, and how differences are found."""
