"""The style of the product, held by tests: lengths, docstrings, words, names and units."""
