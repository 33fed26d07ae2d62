"""Where a screw goes through a pedicle, found by itself."""
