"""Training of SpineMAR's networks: the only part of the project that imports PyTorch."""
