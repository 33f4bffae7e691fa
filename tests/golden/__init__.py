"""Golden files: what this version writes, kept so that every later version is tested to read it."""
