"""Whether labels lie where the CT shows bone: place, size, borders and levels."""
