"""Average the weights of two runs, one of which began from the other.

Between such weights lies no hill of the loss: their mean keeps most of what either learnt, and
forgets less than the fine-tuned ones do (Wortsman et al., "Robust fine-tuning of zero-shot models",
CVPR 2022).
"""

from __future__ import annotations

from pathlib import Path

import torch

from spinemar.errors import InputError


def average_weights(start: Path, tuned: Path, share: float, output: Path) -> None:
    """Write `share` of the tuned weights and the rest of those they started from.

    Parameters
    ----------
    start, tuned : Path
        Files of weights of the same networks.
    share : float
        0 to 1.
    output : Path

    Raises
    ------
    InputError
        If the files hold other networks, or the share is none.
    """
    if not 0 <= share <= 1:
        raise InputError(f"A share of {share:g} makes no average.", "Give one between 0 and 1.")
    first, second = (torch.load(path, weights_only=True) for path in (start, tuned))
    shapes = [
        {(net, name): value.shape for net, state in one.items() for name, value in state.items()}
        for one in (first, second)
    ]
    if shapes[0] != shapes[1]:
        raise InputError(
            f"{start.name} and {tuned.name} hold different networks.",
            "Average weights of one architecture, one of them trained from the other.",
        )
    torch.save(
        {
            net: {name: value.lerp(second[net][name], share) for name, value in state.items()}
            for net, state in first.items()
        },
        output,
    )
