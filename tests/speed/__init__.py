"""How fast the kernel is by itself, in memory: for those who change it."""
