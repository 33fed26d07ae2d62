"""The sacrum: endplate, canal and pedicles of S1, and its outline in a CT."""
