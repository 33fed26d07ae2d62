"""The jobs, one a file: what is asked for, and what runs."""
