"""Whole constructs: screws, heads, rods, crosslinks, cages."""
