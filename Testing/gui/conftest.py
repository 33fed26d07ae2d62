"""The host's fixtures for tests that need real Qt."""

from Testing.host.fixtures import *  # noqa: F403
