"""State larger than memory: interactions that memory has no room for are in RocksDB, on a local disk."""
