"""The prior learns from what its picture becomes: reprojected, matched, reconstructed."""
