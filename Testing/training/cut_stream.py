"""A stream of batches at one of which the process dies, for tests of runs that are gone on with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch


class KilledError(Exception):
    """The run was killed."""


class CutStream(torch.utils.data.IterableDataset):  # type: ignore[type-arg]
    """Batches up to one at which the process dies."""

    def __init__(self, inner: Any, fatal: int) -> None:
        self.inner, self.fatal, self.first = inner, fatal, 0

    def __iter__(self) -> Iterator[Any]:
        for number, batch in enumerate(self.inner):
            if number == self.fatal:
                raise KilledError
            yield batch
