"""Dead letters for operators: reading them, putting them back, showing them. The commands are in `meter/cli`."""
