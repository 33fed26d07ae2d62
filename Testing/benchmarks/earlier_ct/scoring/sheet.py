"""Pictures of pairs to look at: earlier CT, scan, without, with, truth, agreement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.atomic_files import atomic_path
from Testing.benchmarks.earlier_ct.making.pair import Pair, read_pair
from Testing.benchmarks.earlier_ct.scoring.score import WITH, WITHOUT

_WINDOW_HU = (-250.0, 950.0)
_REACH_MM = 70.0
_TITLES = ("earlier CT, laid over", "scan", "without", "with", "truth", "agreement")


def draw_sheet(pairs: Path, rows: Path, names: Sequence[str], output: Path) -> None:
    """Draw the slice with most metal of each pair, 14 cm about it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.0 * len(_TITLES), 2.05 * len(names)), dpi=90)
    axes = figure.subplots(len(names), len(_TITLES), squeeze=False)
    for line, name in zip(axes, names, strict=True):
        pair = read_pair(pairs / name)
        for axis, image, title in zip(line, _images(pair, rows), _TITLES, strict=True):
            limits = (0.0, 100.0) if title == "agreement" else _WINDOW_HU
            axis.imshow(image, cmap="gray", vmin=limits[0], vmax=limits[1])
            axis.set_axis_off()
            if name == names[0]:
                axis.set_title(title, fontsize=8)
        line[0].text(2, 8, f"{name}, {pair.facts['metal']}", fontsize=6, color="yellow", va="top")
    figure.subplots_adjust(0, 0, 1, 0.97, 0.01, 0.01)
    with atomic_path(output) as path:
        figure.savefig(path)


def _images(pair: Pair, rows: Path) -> list[NDArray[Any]]:
    k = int(pair.metal_fraction.sum(axis=(1, 2)).argmax())
    with np.load(rows / f"{pair.name}-{WITHOUT}.npz") as stored:
        without = stored["hu"][k]
    with np.load(rows / f"{pair.name}-{WITH}.npz") as stored:
        with_it, laid, agreement = (stored[n][k] for n in ("hu", "registered", "agreement"))
    part = _about(pair, k)
    images = [laid, pair.scan.hu[k], without, with_it, pair.truth.hu[k], agreement]
    upright = -1 if pair.scan.ijk_to_ras[1, 1] > 0 else 1
    return [image[part][::upright] for image in images]


def _about(pair: Pair, k: int) -> tuple[slice, slice]:
    rows, columns = np.nonzero(pair.metal_fraction[k] > 0.5)
    reach = int(_REACH_MM / pair.scan.spacing_mm[0])
    centre = (int(rows.mean()), int(columns.mean()))
    return tuple(slice(max(0, c - reach), c + reach) for c in centre)  # type: ignore[return-value]
