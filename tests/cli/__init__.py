"""The commands as people type them, each as a process of its own."""
