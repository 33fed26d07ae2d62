"""The arithmetic of linear interpolation and NMAR on sinograms."""
