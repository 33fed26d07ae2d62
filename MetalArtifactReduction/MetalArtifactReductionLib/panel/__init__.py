"""The panel's parts, sample data and the self test's drawing."""
