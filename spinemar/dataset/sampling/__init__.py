"""What a pair shows: patient, shape, implants, scanner."""
