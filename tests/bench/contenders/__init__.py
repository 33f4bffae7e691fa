"""Who is measured. Each is a process of its own, `python -m tests.bench.contenders.NAME TASK`, which ends by itself."""
