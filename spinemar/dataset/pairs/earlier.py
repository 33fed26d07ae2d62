"""The patient's CT from before the operation, beside a pair, as a registration would lay it.

It shows the same patient, scanned otherwise: other slices, kernel and noise, another phase of the
contrast medium. It lies not quite where it should: each vertebra is off by a rigid motion, soft
tissue by more. And it does not know what has changed since: bone that an operation took away is
still there, bone that has grown is not yet. What learns from it has to learn where not to believe
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.dataset.pair_settings import N_SLICES, PairSettings
from spinemar.dataset.pairs.case import Case, draw_case, moved_levels
from spinemar.dataset.pairs.encoding import encode_hu
from spinemar.dataset.pairs.pair import Pair
from spinemar.dataset.sampling.anatomy import sample_patient, scan_grid
from spinemar.dataset.sampling.deformation import Deformation, FloatArray, draw_lattice
from spinemar.dataset.sampling.patients import Patient
from spinemar.errors import FaultError
from spinemar.volume import GridGeometry

_STREAM = 24  # its draws are its own: a pair is the same with and without it
_AIR_HU = -1024
_SCALE_HU = (-1024.0, 3071.0)
_TURN_DEG, _SOFT_MM = 0.4, (1.0, 5.0)
# Soft tissue moves freely from so far from a vertebra's centre on; next to bone it moves with it.
_FIXED_TO_MM, _FREE_FROM_MM = 35.0, 70.0
_SLICES_MM = (1.0, 1.5, 2.0, 2.5, 3.0, 5.0)
_BLUR_MM, _NOISE_HU, _SHARPER = (-0.6, 0.7), (8.0, 25.0), 0.8
_CONTRAST_HU = 12.0
_PLANE_MM, _MOST_PLANES = 0.8, 6
_BONE_HU, _SOFT_HU = (250.0, 700.0), (20.0, 70.0)
_RADII_MM, _EDGE_MM = (4.0, 12.0), 0.8


@dataclass(frozen=True)
class _Off:
    """How a registration leaves the earlier CT: points of the pair to points of the CT.

    `turns` (n, 3) are small rotations in radians about `centres` (n, 3), `shifts` (n, 3) in mm.
    """

    deformation: Deformation
    centres: FloatArray
    turns: FloatArray
    shifts: FloatArray
    soft: Deformation

    def to_source(self, points: NDArray[np.floating]) -> FloatArray:
        """Map points (..., 3) of the pair, as they lie in the earlier CT, RAS mm."""
        at = np.asarray(points, dtype=np.float64)
        away = at[..., None, :] - self.centres
        distance = np.maximum(np.linalg.norm(away, axis=-1), 1.0)
        weight = distance**-4
        moved = np.cross(self.turns, away) + self.shifts
        rigid = (weight[..., None] * moved).sum(axis=-2) / weight.sum(axis=-1)[..., None]
        free = (distance.min(axis=-1) - _FIXED_TO_MM) / (_FREE_FROM_MM - _FIXED_TO_MM)
        soft = np.clip(free, 0.0, 1.0)[..., None] * (self.soft.to_source(at) - at)
        return self.deformation.to_source(at + rigid + soft)


@dataclass(frozen=True)
class _Change:
    """An ellipsoid that the earlier CT shows otherwise than the scan."""

    kind: Literal["gone", "grown"]
    centre: FloatArray
    radii_mm: FloatArray
    hu: float

    def to_json(self) -> dict[str, Any]:
        """By name, for the row."""
        return {
            "kind": self.kind,
            "centre_ras": self.centre.tolist(),
            "radii_mm": self.radii_mm.tolist(),
            "hu": self.hu,
        }


def with_earlier_ct(pair: Pair, patients: Sequence[Patient], settings: PairSettings) -> Pair:
    """Return the pair with an earlier CT of its patient, or with air where it has none.

    Parameters
    ----------
    pair : Pair
    patients : sequence of Patient
    settings : PairSettings
        Those that it was made with.

    Returns
    -------
    Pair
        With the array `earlier_ct`, int16 (slices, rows, columns) in HU on the pixels of its
        images; its row says what was drawn, null where it is air.

    Raises
    ------
    FaultError
        If the pair is of other patients or settings.
    """
    seeds = pair.row["seeds"]
    case = draw_case(patients, settings, np.random.default_rng(seeds))
    if case is None or case.z_mm != pair.row["z_mm"]:
        raise FaultError(
            f"Pair {pair.row['index']} is not of these CTs and settings.",
            "Give those that it was made with.",
        )
    rng = np.random.default_rng([*seeds, _STREAM])
    facts = None
    hu = np.full((N_SLICES, settings.matrix, settings.matrix), _AIR_HU, np.int16)
    if rng.random() < settings.earlier_ct_share:
        shown, facts = _laid(case, settings, rng)
        hu = encode_hu(shown)
    arrays = {**pair.arrays, "earlier_ct": hu}
    return Pair(arrays, {**pair.row, "earlier_ct": facts})


def _laid(
    case: Case, settings: PairSettings, rng: np.random.Generator
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    names, centres = moved_levels(case.patient, case.deformation)
    low, high = np.log(settings.earlier_off_mm)
    off_mm, soft_mm = float(np.exp(rng.uniform(low, high))), float(rng.uniform(*_SOFT_MM))
    off = _drawn_off(case.deformation, names, centres, (off_mm, soft_mm), rng)
    changes = _drawn_changes(case, centres, settings, rng)
    slice_mm = max(float(rng.choice(_SLICES_MM)), case.protocol.slice_mm)
    contrast_hu = float(rng.normal(scale=_CONTRAST_HU))
    tissue = replace(case.tissue, soft_shift_hu=case.tissue.soft_shift_hu + contrast_hu)
    pixel_mm = case.protocol.fov_mm / settings.matrix
    planes = int(np.clip(round(slice_mm / _PLANE_MM), 1, _MOST_PLANES))
    slices = []
    for step in range(-(N_SLICES // 2), N_SLICES // 2 + 1):
        z = case.z_mm + step * case.protocol.spacing_mm
        centre = case.protocol.image_centre_ras
        grid = scan_grid(centre, z, settings.matrix, pixel_mm, 1, slice_mm)
        hu = tissue.applied(sample_patient(case.patient, off, grid, planes))[0]
        if changes:
            fine = scan_grid(centre, z, settings.matrix, pixel_mm, planes, slice_mm / planes)
            hu = _changed(hu, fine, changes)
        slices.append(hu)
    blur_mm, noise_hu = float(rng.uniform(*_BLUR_MM)), float(rng.uniform(*_NOISE_HU))
    facts = {
        "off_mm": off_mm,
        "soft_mm": soft_mm,
        "slice_mm": slice_mm,
        "blur_mm": blur_mm,
        "noise_hu": noise_hu,
        "contrast_hu": contrast_hu,
        "changes": [change.to_json() for change in changes],
    }
    return read_out(np.stack(slices), blur_mm / pixel_mm, noise_hu, rng), facts


def _drawn_off(
    deformation: Deformation,
    names: Sequence[str],
    centres: FloatArray,
    off_and_soft_mm: tuple[float, float],
    rng: np.random.Generator,
) -> _Off:
    """Draw what a registration leaves; marks of one vertebra move as one."""
    off_mm, soft_mm = off_and_soft_mm
    levels = list(dict.fromkeys(names))
    of = np.array([levels.index(name) for name in names])
    turns = np.radians(_TURN_DEG) * rng.standard_normal((len(levels), 3))[of]
    shifts = off_mm * rng.standard_normal((len(levels), 3))[of]
    soft = Deformation(deformation.pivot, np.eye(3), 1.0, draw_lattice(soft_mm, rng), {})
    return _Off(deformation, centres, turns, shifts, soft)


def _drawn_changes(
    case: Case, centres: FloatArray, settings: PairSettings, rng: np.random.Generator
) -> list[_Change]:
    """Draw one to three places about the vertebra of the slice that differ from the scan."""
    if rng.random() >= settings.earlier_changed_share:
        return []
    vertebra = centres[int(np.argmin(np.abs(centres[:, 2] - case.z_mm)))]
    found = []
    for _ in range(int(rng.integers(1, 4))):
        gone = bool(rng.random() < 0.7)
        aside, behind = rng.normal(scale=14.0), rng.uniform(15.0, 50.0)
        beside = rng.normal(scale=case.protocol.spacing_mm)
        at = np.array([vertebra[0] + aside, vertebra[1] - behind, case.z_mm + beside])
        hu = float(rng.uniform(*(_BONE_HU if gone else _SOFT_HU)))
        radii = rng.uniform(*_RADII_MM, size=3)
        found.append(_Change("gone" if gone else "grown", at, radii, hu))
    return found


def _changed(
    hu: NDArray[np.float32], fine: GridGeometry, changes: Sequence[_Change]
) -> NDArray[np.float32]:
    """Put changes into a slice (rows, columns); `fine` are the planes that it is thick."""
    k, j, i = np.indices(fine.shape, dtype=np.float64)
    points = fine.to_ras(np.stack([i, j, k], axis=-1))
    result = hu
    for change in changes:
        away = np.linalg.norm((points - change.centre) / change.radii_mm, axis=-1)
        width = _EDGE_MM / float(change.radii_mm.mean())
        share = np.clip(0.5 - (away - 1.0) / width, 0.0, 1.0).mean(axis=0)
        result = result + share.astype(np.float32) * (np.float32(change.hu) - result)
    return np.asarray(result, np.float32)


def read_out(
    hu: NDArray[np.float32], sigma_px: float, noise_hu: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Apply kernel, noise as fine as it, and the ends of a 12-bit scale.

    Parameters
    ----------
    hu : ndarray of float32, shape (slices, rows, columns)
    sigma_px : float
        Width of the kernel's blur; negative sharpens by as much.
    noise_hu : float
        Standard deviation.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float32, same shape
    """
    smooth = ndimage.gaussian_filter(hu, (0.0, abs(sigma_px), abs(sigma_px)))
    shown = smooth if sigma_px > 0 else hu + np.float32(_SHARPER) * (hu - smooth)
    grain = 0.9 if sigma_px > 0 else 0.5
    noise = rng.standard_normal(hu.shape, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, (0.0, grain, grain))
    return np.clip(shown + noise * np.float32(noise_hu / noise.std()), *_SCALE_HU)
