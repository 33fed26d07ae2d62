"""The correction as differentiable functions, and its scores."""
