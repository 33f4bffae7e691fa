"""The rules, pure: no I/O, no clock, no Faust. Every module is a fold, `step(state, input) -> outputs`."""
