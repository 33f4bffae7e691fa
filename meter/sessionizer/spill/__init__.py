"""State that is larger than memory: what a partition has no room for lies in RocksDB."""
