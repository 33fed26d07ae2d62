"""Batches from a store of pairs (`spinemar dataset make`), in both domains."""
