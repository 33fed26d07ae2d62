"""pytest fixtures; a conftest.py takes them with ``from Testing.host.fixtures import *``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

__all__ = ["host", "slicerScene", "slicerWindow"]


def _newHost() -> Any:
    pytest.importorskip("slicer_core", reason="needs slicer-core (pip install .[slicer-tests])")
    pytest.importorskip("PySide6", reason="needs PySide6 (pip install .[slicer-tests])")
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from Testing.host.host import Host

    return Host()


@pytest.fixture
def host() -> Iterator[Any]:
    """A fresh Slicer session without a window; errors in callbacks fail the test."""
    with _newHost() as session:
        yield session


@pytest.fixture
def slicerScene(host: Any) -> Any:
    """Return the session's scene, which is also `slicer.mrmlScene`."""
    return host.scene


@pytest.fixture
def slicerWindow(host: Any) -> Any:
    """Return the session with its main window open in the four-up layout."""
    host.showWindow()
    return host
