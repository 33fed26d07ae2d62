"""Plans for training data: varied, misplaced on purpose, or random."""
