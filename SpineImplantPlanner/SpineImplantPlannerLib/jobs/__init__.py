"""The module's jobs, each in a worker process."""
