"""SpineMAR: metal artifact reduction for spine CT, and the data that teaches it."""

__version__ = "0.1.0"
