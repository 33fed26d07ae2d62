"""Run single inputs of various sizes through a network, those of one size together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[np.float32]]


def by_shape(
    inputs: Sequence[Arrays],
    run: Callable[[Arrays], Arrays],
    *,
    most: int,
    between: Callable[[], None] = lambda: None,
) -> list[Arrays]:
    """Run inputs in batches of one shape.

    Parameters
    ----------
    inputs : sequence of mapping of str to ndarray
        Each without the batch axis.
    run : callable
        Takes and returns arrays with a batch axis.
    most : int
        Largest batch.
    between : callable
        Called before every batch.

    Returns
    -------
    list of mapping of str to ndarray
        The output of each input, without the batch axis, in the order given.
    """
    groups: dict[tuple[tuple[int, ...], ...], list[int]] = defaultdict(list)
    for n, one in enumerate(inputs):
        groups[tuple(array.shape for array in one.values())].append(n)
    outputs: list[Arrays] = [{} for _ in inputs]
    for members in groups.values():
        for start in range(0, len(members), most):
            batch = members[start : start + most]
            between()
            if len(batch) == 1:
                together = {name: array[None] for name, array in inputs[batch[0]].items()}
            else:
                names = inputs[batch[0]]
                together = {name: np.stack([inputs[n][name] for n in batch]) for name in names}
            for name, values in run(together).items():
                for n, value in zip(batch, values, strict=True):
                    outputs[n] = {**outputs[n], name: value}
    return outputs
