"""Training pairs: sampling, placement, simulated scans, and the store that holds them."""
