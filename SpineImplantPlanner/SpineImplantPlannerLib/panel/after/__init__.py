"""What the section after the operation shows and asks."""
