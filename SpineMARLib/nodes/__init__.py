"""Nodes of a scene that is handed in: volumes as arrays, checks, places, overlays."""
