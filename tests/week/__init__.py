"""A week of event time, and the memory that workers use."""
