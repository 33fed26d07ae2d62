"""Planning of spinal constructs: plans, trajectories, rods, grades, variation."""
