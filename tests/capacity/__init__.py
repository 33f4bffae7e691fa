"""How many bytes of memory each part of a partition's state takes: the figures of docs/performance.md."""
