"""A second, naive implementation of the billing rules. It shares no code with the product that it judges."""
