"""A correction in a scene: preview, results, comparison, quality."""
