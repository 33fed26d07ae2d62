"""Contact sheets: one case a row, scan, arms and truth beside each other, to be looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from Testing.benchmarks.xcist.cases import Case
from Testing.benchmarks.xcist.comparing.measured import Maker
from Testing.benchmarks.xcist.score import MIDDLE

_SIDE_MM = 120.0
_WINDOW_HU = (-250.0, 950.0)


def draw_sheet(
    cases: Iterable[Case], scale: str, makers: Mapping[str, Maker], output: Path
) -> None:
    """Draw 120 mm about the metal of each case in a bone window; writes one JPEG.

    Parameters
    ----------
    cases : iterable of Case
    scale : str
    makers : mapping of str to callable
        What each arm makes of a scan.
    output : Path
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [(case, _pictures(case, scale, makers)) for case in cases]
    columns = len(makers) + 2
    figure, axes = pyplot.subplots(
        len(rows), columns, figsize=(2.2 * columns, 2.3 * len(rows)), squeeze=False
    )
    for line, (case, pictures) in zip(axes, rows, strict=True):
        box = _box(case)
        for place, (name, image) in zip(line, pictures.items(), strict=True):
            place.imshow(image[box], cmap="gray", vmin=_WINDOW_HU[0], vmax=_WINDOW_HU[1])
            place.set_title(name, fontsize=7)
            place.axis("off")
        line[0].set_title(case.name, fontsize=7)
    figure.tight_layout(pad=0.3)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=110)
    pyplot.close(figure)


def _pictures(
    case: Case, scale: str, makers: Mapping[str, Maker]
) -> dict[str, NDArray[np.float32]]:
    scan = case.scans[scale]
    made = {name: make(scan).volume.hu[MIDDLE] for name, make in makers.items()}
    return {"scan": scan.hu[MIDDLE], **made, "truth": case.truth.hu[MIDDLE]}


def _box(case: Case) -> tuple[slice, slice]:
    middle = ndimage.center_of_mass(case.metal_fraction[MIDDLE])
    half = round(_SIDE_MM / 2 / case.truth.spacing_mm[0])
    parts = []
    for at, size in zip(middle, case.truth.hu.shape[1:], strict=True):
        first = int(np.clip(round(at) - half, 0, max(0, size - 2 * half)))
        parts.append(slice(first, first + 2 * half))
    return parts[0], parts[1]
