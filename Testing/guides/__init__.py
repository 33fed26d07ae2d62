"""The ten-minute guides, followed literally in a fresh environment."""
