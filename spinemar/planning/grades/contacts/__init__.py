"""What touches what must not: implants among themselves, and joints."""
