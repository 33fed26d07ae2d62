"""Where metal, body and lost values are, and which rays they spoil."""
