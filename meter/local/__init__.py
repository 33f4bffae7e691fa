"""The whole pipeline on this machine: an embedded broker, an embedded ClickHouse, and worker processes."""
