"""Single classes and functions, by hand-made cases."""
