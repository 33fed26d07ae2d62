"""What the steps of the panel share: tables, the background, texts."""
