"""Scenes to study: metal, lesions, conditions, and their corrections."""
