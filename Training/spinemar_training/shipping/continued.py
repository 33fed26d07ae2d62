"""Go on training the shipped networks for a few minutes, and say whether that was worth it.

Made for a machine that is lent for a quarter of an hour: one command takes the weights out of the
model, trains prior and generator through the reconstruction, averages them with those it began
from, scores every share on the validation patient, and leaves small files to carry home.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from spinemar_training.run_settings import RunSettings
from spinemar_training.runs.averaging import average_weights
from spinemar_training.runs.curves import draw_run
from spinemar_training.runs.running import train_joint, validate
from spinemar_training.shipping.import_weights import weights_of_model

SHARES = (0.25, 0.5, 1.0)
_CURVES = ("joint/rmse_hu", "joint/prior_only_hu")


def continue_model(
    settings: RunSettings,
    model: Path,
    output: Path,
    minutes: float,
    shares: Sequence[float] = SHARES,
) -> dict[str, Any]:
    """Train from a model's weights for some minutes; return the scores by share.

    Parameters
    ----------
    settings : RunSettings
        Of joint training; its time is replaced by `minutes`.
    model : Path
        Manifest, or its folder.
    output : Path
        Folder of the run. In its folder `home` come weights of each share in 16 bits, of which
        one file fits into 16 MB, the curves, and `scores.json`. A run that was stopped goes on.
    minutes : float
        Of training; scoring comes on top.
    shares : sequence of float
        Of the tuned weights in the averages.

    Returns
    -------
    dict
        By share ("0" is the model as it was) the table of `validate`.
    """
    home = output / "home"
    home.mkdir(parents=True, exist_ok=True)
    start = output / "start.pt"
    weights_of_model(model, start)
    scores = {"0": validate(settings, start, output / "share-0")}
    budget = replace(settings.budget, max_seconds=60 * minutes)
    tuned = train_joint(replace(settings, budget=budget), output / "run", start)
    draw_run(output / "run", _CURVES, 20, "RMSE, HU", home / "curves.svg")
    for share in shares:
        weights = output / f"weights-{share:g}.pt"
        average_weights(start, tuned, share, weights)
        _in_16_bits(weights, home / weights.name)
        scores[f"{share:g}"] = validate(settings, weights, output / f"share-{share:g}")
        (home / "scores.json").write_text(json.dumps(scores, indent=1), encoding="utf-8")
    return scores


def _in_16_bits(weights: Path, output: Path) -> None:
    stored = torch.load(weights, weights_only=True)
    halves = {
        net: {name: value.half() for name, value in state.items()} for net, state in stored.items()
    }
    torch.save(halves, output)
