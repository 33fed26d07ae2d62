"""Small faults put into the core on purpose: do the tests see them? `make mutate`."""
