"""The canal's track, and the volume straightened along it."""
