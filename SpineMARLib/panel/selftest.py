"""What the modules' self tests share."""

import time

import slicer


def waitFor(condition, seconds=120.0):
    """Let Slicer work until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("The worker did not finish")
        slicer.app.processEvents()
        time.sleep(0.01)
