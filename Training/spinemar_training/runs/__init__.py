"""Training runs: trainers, checkpoints, curves, comparisons of runs."""
