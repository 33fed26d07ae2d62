"""What a real scanner does to rays; each effect can be switched off."""
