"""Parts of panels: a watched job, errors in message boxes, packages, shortcuts, sample data."""
