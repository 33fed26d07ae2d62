"""Differentiable Radon transforms."""
