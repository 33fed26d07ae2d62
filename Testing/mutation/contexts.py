"""A plugin of pytest that has coverage note which test runs which line, and how long each takes.

``-p Testing.mutation.contexts``, with `DURATIONS_FILE` in the environment.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

DURATIONS = "SPINEMAR_MUTATION_DURATIONS"
_seconds = pytest.StashKey[dict[str, float]]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin with no test."""
    config.stash[_seconds] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Name each test to coverage, with its fixtures."""
    from coverage import Coverage

    current = Coverage.current()
    if current is not None:
        current.switch_context(item.nodeid)
    started = time.perf_counter()
    answer = yield
    item.config.stash[_seconds][item.nodeid] = round(time.perf_counter() - started, 3)
    return answer


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the seconds of every test."""
    Path(os.environ[DURATIONS]).write_text(
        json.dumps(session.config.stash[_seconds]), encoding="utf-8"
    )
