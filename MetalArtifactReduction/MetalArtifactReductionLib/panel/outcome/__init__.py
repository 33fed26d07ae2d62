"""What a correction came to: its volumes side by side, its slices, its quality."""
