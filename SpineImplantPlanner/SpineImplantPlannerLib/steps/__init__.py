"""The steps of the panel, one a file."""
