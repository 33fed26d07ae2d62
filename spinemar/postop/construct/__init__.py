"""What is behind and between the screws that were found: rods, crosslinks, cages, other metal."""
