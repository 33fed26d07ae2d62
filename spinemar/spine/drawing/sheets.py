"""Overlay sheets: what was segmented, drawn on reformats of the CT, to be looked at.

One page a CT: the straightened spine from the side and from behind, and for every vertebra the
plane through both pedicles and the coronal plane through their isthmuses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from spinemar.base.atomic_files import atomic_path
from spinemar.base.extras import optional
from spinemar.base.privacy import keep_matplotlib_out_of_home
from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.spine.model import SpineModel, VertebraFrame
from spinemar.volume import CTVolume, GridGeometry

_WINDOW_HU = (-150.0, 650.0)
_STEP_MM = 0.5
_COLUMNS = 6
_AXIAL = ((-42.0, 42.0), (-48.0, 44.0))
_CORONAL = ((-42.0, 42.0), (-26.0, 26.0))
_COLOURS = ("tab:red", "tab:cyan", "tab:orange", "tab:green", "tab:pink", "tab:blue")


def write_overlay_sheet(
    path: str | Path,
    volume: CTVolume,
    model: SpineModel,
    *,
    title: str = "",
    landmarks: Mapping[str, Mapping[str, ArrayLike]] | None = None,
) -> None:
    """Draw an overlay sheet and write it as PNG.

    Parameters
    ----------
    path : path
    volume : CTVolume
    model : SpineModel
        Labels on the volume's grid.
    title : str
    landmarks : mapping of level to mapping of side to point, optional
        Independent isthmus centres (RAS mm), drawn as green crosses beside the found red ones.
    """
    keep_matplotlib_out_of_home()
    with optional("An overlay sheet"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

    count = max(len(model.vertebrae), 1)
    rows = -(-count // (_COLUMNS - 1))
    figure = Figure(figsize=(3.0 * _COLUMNS, 5.4 * rows + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2 * rows, _COLUMNS)
    figure.suptitle(title)
    half = rows
    _draw_straight(figure.add_subplot(grid[:half, 0]), volume, model, sideways=False)
    _draw_straight(figure.add_subplot(grid[half:, 0]), volume, model, sideways=True)
    for number, frame in enumerate(model.vertebrae):
        row, column = divmod(number, _COLUMNS - 1)
        points = (landmarks or {}).get(frame.level, {})
        for plane in (0, 1):
            axes = figure.add_subplot(grid[2 * row + plane, column + 1])
            _draw_vertebra(axes, volume, model, frame, points, plane == 0)
    with atomic_path(Path(path)) as temporary:
        figure.savefig(temporary, dpi=60, format="png")


def _at(
    array: NDArray[Any], geometry: GridGeometry, ras: NDArray[np.float64], order: int
) -> NDArray[np.float32]:
    kji = np.moveaxis(geometry.to_ijk(ras)[..., ::-1], -1, 0)
    outside = -1000.0 if order else 0.0
    result = np.empty(ras.shape[:-1], np.float32)
    sample: Any = ndimage.map_coordinates
    sample(array, kji, order=order, mode="constant", cval=outside, output=result)
    return result


def _axis_values(limits: tuple[float, float]) -> NDArray[np.float64]:
    return np.arange(limits[0], limits[1] + _STEP_MM / 2, _STEP_MM)


def _draw_vertebra(
    axes: Any,
    volume: CTVolume,
    model: SpineModel,
    frame: VertebraFrame,
    landmarks: Mapping[str, ArrayLike],
    axial: bool,
) -> None:
    pedicles = list(frame.pedicles.values())
    origin = frame.canal_centre_ras
    if pedicles:
        origin = np.mean([p.isthmus_ras for p in pedicles], axis=0)
    up = frame.anterior if axial else frame.superior
    across, along = (_axis_values(limits) for limits in (_AXIAL if axial else _CORONAL))
    ras = origin + across[None, :, None] * frame.right + along[:, None, None] * up
    hu = _at(volume.hu, volume.geometry, ras, 1)
    labels = _at(model.labels.labels, model.labels.geometry, ras, 0)
    extent = (across[0], across[-1], along[0], along[-1])
    axes.imshow(
        hu, cmap="gray", vmin=_WINDOW_HU[0], vmax=_WINDOW_HU[1], origin="lower", extent=extent
    )
    own = labels == VERSE_IDS[frame.level]
    if own.any():
        axes.contour(across, along, own, [0.5], colors=["tab:red"], linewidths=0.8)
    for pedicle in pedicles:
        ends = np.stack([pedicle.entry_ras, pedicle.isthmus_ras + 15 * pedicle.axis_ras])
        axes.plot((ends - origin) @ frame.right, (ends - origin) @ up, "y-", linewidth=0.8)
        gap = pedicle.isthmus_ras - origin
        axes.plot(gap @ frame.right, gap @ up, "r+", markersize=9)
    for point in landmarks.values():
        gap = np.asarray(point) - origin
        axes.plot(gap @ frame.right, gap @ up, "+", color="lime", markersize=9)
    axes.set_axis_off()
    axes.set_xlim(extent[:2])
    axes.set_ylim(extent[2:])
    if axial:
        axes.set_title(_caption(frame), fontsize=8)


def _caption(frame: VertebraFrame) -> str:
    widths = [
        f"{side[0].upper()} {p.width_mm:.1f} ({p.confidence:.2f})"
        for side, p in sorted(frame.pedicles.items())
    ]
    mark = "" if frame.confidence >= 0.5 else "  UNCERTAIN"
    return f"{frame.level}  {frame.confidence:.2f}{mark}\n" + "  ".join(widths)


def _draw_straight(axes: Any, volume: CTVolume, model: SpineModel, sideways: bool) -> None:
    """Draw the spine along its canal: from the side, or the coronal plane of the pedicles."""
    canal = model.canal_ras[::-1]
    if len(canal) < 3:
        axes.set_axis_off()
        return
    up = np.gradient(ndimage.gaussian_filter1d(canal, 6, axis=0, mode="nearest"), axis=0)
    up /= np.maximum(np.linalg.norm(up, axis=1, keepdims=True), 1e-9)
    front = _fronts(model.vertebrae, canal, up)
    across = np.arange(-50.0, 50.0) if sideways else np.arange(-60.0, 55.0)
    direction = np.cross(front, up) if sideways else front
    offset = 2.0 * front if sideways else 0.0 * front
    ras = (canal + offset)[:, None] + across[None, :, None] * direction[:, None]
    steps = np.linalg.norm(np.diff(canal, axis=0), axis=1)
    height = float(steps.sum())
    extent = (across[0], across[-1], 0.0, height)
    image = _at(volume.hu, volume.geometry, ras, 1)
    axes.imshow(
        image, cmap="gray", vmin=_WINDOW_HU[0], vmax=_WINDOW_HU[1], origin="lower", extent=extent
    )
    labels = _at(model.labels.labels, model.labels.geometry, ras, 0)
    along = np.linspace(0, height, len(canal))
    for number, level in enumerate(VERSE_IDS):
        own = labels == VERSE_IDS[level]
        if own.any():
            colour = _COLOURS[number % len(_COLOURS)]
            axes.contour(across, along, own, [0.5], colors=[colour], linewidths=0.8)
            if not sideways:
                rows = np.flatnonzero(own[:, across > 8].any(axis=1))
                if len(rows):
                    axes.text(40, along[int(rows.mean())], level, color=colour, fontsize=7)
    axes.set_axis_off()


def _fronts(
    frames: Sequence[VertebraFrame], canal: NDArray[np.float64], up: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Anterior direction along the canal, from the vertebrae beside it."""
    front = np.tile([0.0, 1.0, 0.0], (len(canal), 1))
    if frames:
        places = [int(np.linalg.norm(canal - f.canal_centre_ras, axis=1).argmin()) for f in frames]
        order = np.argsort(places)
        known = np.array([frames[n].anterior for n in order])
        at = np.array(places)[order]
        front = np.column_stack(
            [np.interp(np.arange(len(canal)), at, known[:, axis]) for axis in range(3)]
        )
    front = front - up * np.einsum("ij,ij->i", front, up)[:, None]
    result: NDArray[np.float64] = front / np.linalg.norm(front, axis=1, keepdims=True)
    return result
