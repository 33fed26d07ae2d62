"""One scan: rays, line integrals, exposure, reconstruction, stored values."""
