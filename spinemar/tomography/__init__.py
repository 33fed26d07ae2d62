"""Operators between images and sinograms, and the units they use."""
