"""The host's fixtures for tests that need real MRML."""

from Testing.host.fixtures import *  # noqa: F403
