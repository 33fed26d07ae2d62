"""What is being planned, without Qt."""
