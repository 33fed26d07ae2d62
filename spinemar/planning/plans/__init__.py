"""Plans: their files, what a user does to them, undo, comparison."""
