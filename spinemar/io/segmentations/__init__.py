"""Segmentations of any format: labels, masks, the names of segments."""
