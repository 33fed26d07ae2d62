"""Files: sets that appear together, what the killed left behind, hashes, careful reading."""
