"""The production folds with crashes between any two effects, against the oracle."""
