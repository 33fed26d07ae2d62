"""Other modules that the panel goes to and comes back from."""
