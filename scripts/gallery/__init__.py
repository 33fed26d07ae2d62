"""Figures of the gallery page, each drawn by a module of its own; see make_gallery.py."""
