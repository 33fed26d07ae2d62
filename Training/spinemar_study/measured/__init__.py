"""What the measured lost rays still know: their rest after the metal, and networks that see it."""
