"""What the panel has the views show: words in slices, vertebrae from behind."""
