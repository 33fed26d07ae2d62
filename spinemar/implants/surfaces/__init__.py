"""Implants as triangle surfaces, and surfaces of the user's own."""
