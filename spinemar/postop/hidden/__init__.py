"""What metal hides of the bone: filled for the segmentation, lent by the other side for grades."""
