"""Fixtures of other folders that jobs need."""

from Testing.core.io.conftest import write_series  # noqa: F401 - a fixture
