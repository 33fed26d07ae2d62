"""From a CT to labelled vertebrae, without learned weights."""
