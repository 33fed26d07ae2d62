"""What every page of every report has: sides and a bar in its pictures, whose it is, its frame."""
