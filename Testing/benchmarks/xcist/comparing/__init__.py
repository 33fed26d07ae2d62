"""Arms of the learned correction side by side: errors, and what is kept of findings."""
