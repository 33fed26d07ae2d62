"""What headers of image files promise, checked before memory is asked for."""
