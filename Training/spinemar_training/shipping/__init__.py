"""From weights to the shipped model, and back."""
