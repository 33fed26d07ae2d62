"""A process for a job: its protocol, its arrays, its start and its end."""
