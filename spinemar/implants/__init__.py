"""Spinal implants: catalogue, shapes, and how they fill voxels."""
