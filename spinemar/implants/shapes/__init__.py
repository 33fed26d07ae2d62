"""Implants as solids: screws, rods, cages, crosslinks."""
