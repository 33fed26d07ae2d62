"""Slices on their way: slabs, what is derived of them, threads, the gate."""
