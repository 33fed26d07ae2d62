"""Hostile bytes against everything that reads a file: `make fuzz`, ten bounded minutes."""
