"""Axes, endplates and pedicles of labelled vertebrae."""
