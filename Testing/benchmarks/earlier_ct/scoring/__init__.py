"""What a correction with the earlier CT is worth: measures, tables, pictures."""
