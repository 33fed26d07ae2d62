"""Many corrections: items of a batch, their run, the facts beside each result."""
