"""Draw the earlier CT: another posture, field, thickness, kernel, noise, table; no metal."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.dataset.pairs import earlier
from spinemar.evaluation.regions import filled_body
from spinemar.volume import CTVolume, GridGeometry
from Testing.benchmarks.earlier_ct.making.posture import Posture

_AIR_HU, _TABLE_HU, _TABLE_MM = -1000.0, -150.0, 18.0
_NODE_PX = 8
THICKNESSES_MM = (1.0, 1.5, 2.0, 2.5, 3.0, 5.0)


@dataclass(frozen=True)
class EarlierProtocol:
    """How the earlier CT was scanned.

    Parameters
    ----------
    slice_mm, pixel_mm : float
    matrix : int
    blur_mm : float
        Width (sigma) of the kernel's blur; negative sharpens by as much.
    noise_hu : float
        Standard deviation.
    above_mm, below_mm : float
        How far it reaches beyond the later scan.
    table_gap_mm : float
        From the back to the table.
    """

    slice_mm: float
    pixel_mm: float
    matrix: int
    blur_mm: float
    noise_hu: float
    above_mm: float
    below_mm: float
    table_gap_mm: float

    def to_json(self) -> dict[str, Any]:
        """By name."""
        return asdict(self)


def draw_protocol(body_mm: float, rng: np.random.Generator) -> EarlierProtocol:
    """Draw a protocol for a body so wide."""
    matrix = int(rng.choice([400, 512]))
    fov = min(body_mm * rng.uniform(1.02, 1.2), 500.0)
    return EarlierProtocol(
        slice_mm=float(rng.choice(THICKNESSES_MM)),
        pixel_mm=round(fov / matrix, 3),
        matrix=matrix,
        blur_mm=round(float(rng.uniform(-0.6, 0.7)), 2),
        noise_hu=round(float(rng.uniform(8.0, 25.0)), 1),
        above_mm=round(float(rng.uniform(-5.0, 40.0)), 1),
        below_mm=round(float(rng.uniform(-5.0, 40.0)), 1),
        table_gap_mm=round(float(rng.uniform(0.0, 8.0)), 1),
    )


def draw_earlier(
    anatomy: CTVolume,
    posture: Posture,
    protocol: EarlierProtocol,
    heights_mm: tuple[float, float],
    rng: np.random.Generator,
) -> CTVolume:
    """Sample the earlier CT.

    Parameters
    ----------
    anatomy : CTVolume
        The patient as scanned later, but before the operation.
    posture : Posture
    protocol : EarlierProtocol
    heights_mm : (low, high)
        Extent of the later scan, RAS mm.
    rng : numpy.random.Generator
    """
    alone = without_surroundings(anatomy)
    grid = _grid(anatomy, posture, protocol, heights_mm)
    planes = max(1, round(protocol.slice_mm / 1.5))
    hu = np.zeros(grid.shape, np.float32)
    for k in range(grid.shape[0]):
        for offset in (np.arange(planes) - (planes - 1) / 2) / planes:
            hu[k] += plane_of(alone, posture, grid, k + float(offset))
    hu /= np.float32(planes)
    _put_table(hu, protocol)
    return CTVolume(read_out(hu, protocol, rng), grid.ijk_to_ras)


def without_surroundings(volume: CTVolume) -> CTVolume:
    """Leave the body alone in air, without its table."""
    hu = np.full(volume.hu.shape, _AIR_HU, np.float32)
    for k, one in enumerate(volume.hu):
        body = ndimage.binary_dilation(filled_body(one), iterations=2)
        hu[k][body] = one[body]
    return volume.with_hu(hu)


def body_width_mm(volume: CTVolume) -> float:
    """Largest extent of the body from side to side or from back to front."""
    body = np.any([filled_body(one) for one in volume.hu], axis=0)
    extent = [np.flatnonzero(body.any(axis=axis)) for axis in (0, 1)]
    return float(max(e[-1] - e[0] + 1 for e in extent) * volume.spacing_mm[0])


def _grid(anatomy: CTVolume, posture: Posture, protocol: EarlierProtocol,
          heights_mm: tuple[float, float]) -> GridGeometry:  # fmt: skip
    """An upright grid about the body, as it lay then."""
    back = np.linalg.inv(posture.body)
    rows, columns = anatomy.hu.shape[1:]
    ijk = np.array([(columns - 1) / 2, (rows - 1) / 2, (len(anatomy.hu) - 1) / 2])
    x, y, _ = anatomy.geometry.to_ras(ijk)
    low, high = heights_mm[0] - protocol.below_mm, heights_mm[1] + protocol.above_mm
    ends = np.array([[x, y, low, 1.0], [x, y, high, 1.0]]) @ back.T
    middle = ends.mean(axis=0)
    half = protocol.pixel_mm * (protocol.matrix - 1) / 2
    affine = np.diag([-protocol.pixel_mm, -protocol.pixel_mm, protocol.slice_mm, 1.0])
    affine[:3, 3] = middle[0] + half, middle[1] + half, ends[0, 2]
    count = int((ends[1, 2] - ends[0, 2]) / protocol.slice_mm) + 1
    return GridGeometry((count, protocol.matrix, protocol.matrix), affine)


def plane_of(
    volume: CTVolume, posture: Posture, grid: GridGeometry, k: float
) -> NDArray[np.float32]:
    """Sample one plane; the map is worked out at every eighth pixel and interpolated between."""
    size = grid.shape[1]
    nodes = np.arange(0, size + _NODE_PX, _NODE_PX, dtype=np.float64)
    j, i = np.meshgrid(nodes, nodes, indexing="ij")
    points = posture.to_later(grid.to_ras(np.stack([i, j, np.full_like(i, k)], axis=-1)))
    coarse = np.moveaxis(volume.geometry.to_ijk(points), -1, 0)[::-1]
    at = np.indices((size, size)) / _NODE_PX
    index = np.stack([ndimage.map_coordinates(axis, at, order=1) for axis in coarse])
    np.clip(index[0], 0.0, len(volume.hu) - 1.0, out=index[0])
    return np.asarray(
        ndimage.map_coordinates(volume.hu, index, order=1, cval=_AIR_HU, output=np.float32)
    )


def _put_table(hu: NDArray[np.float32], protocol: EarlierProtocol) -> None:
    """Lay a flat table under the back, all along."""
    rows = np.flatnonzero((hu > -300.0).any(axis=(0, 2)))
    top = int(rows[-1] + 1 + protocol.table_gap_mm / protocol.pixel_mm)
    bottom = int(top + _TABLE_MM / protocol.pixel_mm)
    hu[:, top:bottom] = np.maximum(hu[:, top:bottom], _TABLE_HU)


def read_out(
    hu: NDArray[np.float32], protocol: EarlierProtocol, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Apply kernel and noise; noise is as fine as the kernel."""
    shown = earlier.read_out(hu, protocol.blur_mm / protocol.pixel_mm, protocol.noise_hu, rng)
    return np.rint(shown).astype(np.float32)
