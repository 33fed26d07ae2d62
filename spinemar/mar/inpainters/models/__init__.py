"""Models on disk: the manifest that describes them, and the sessions that run them."""
