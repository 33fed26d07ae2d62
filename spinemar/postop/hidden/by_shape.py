"""The surface of a vertebra behind metal, from vertebrae of other people laid over what is seen.

What was filled in for metal is a guess from the tissue beside it: where two screws fill their
pedicles nothing of these is left to be seen, and the guess is that they are no bone. But the rest
of the vertebra is seen, and vertebrae of one level are alike: several are laid over it, each
turned, shifted and stretched until it fits best, and behind metal the mean of their surfaces
counts (fusion of several registered atlases; Heckemann et al. 2006, doi
10.1016/j.neuroimage.2006.05.061).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from spinemar.base.boxes import bounding_box
from spinemar.base.parts import largest_part
from spinemar.implants.shapes.solids import FloatArray
from spinemar.planning.grades.bone import BoneField
from spinemar.postop.hidden.shapes import VertebraShape, shapes_near
from spinemar.spine.labels.levels import SACRUM

Mask = NDArray[np.bool_]

# Beside what metal hides the segmentation errs as well: so far its surface is not believed either.
_WIDER_MM = 1.0
# Shapes of the next levels are tried, of those beyond where these are too few; so many are meant.
_REACHES, _LEAST, _MEANT = (1, 2), 3, 5
# The surface is asked at so many points, most of them near the metal.
_POINTS, _NEAR_MM, _NEAR_WEIGHT = 500, 10.0, 3.0
# A shape is shifted, turned and stretched by so little as a rule (standard deviations), and a point
# that lies farther off than this is no part of it.
_SHIFT_MM, _TURN_RAD, _STRETCH = 6.0, 0.25, 0.15
_OFF_MM, _ORDINARY_WEIGHT = 5.0, 2.0
_TURNS = 12


@dataclass(frozen=True, eq=False)
class _Laid:
    """A shape laid over a vertebra: shift, turn and stretch (9,), and what it leaves."""

    shape: VertebraShape
    way: FloatArray
    left: float

    def at(self, local: FloatArray) -> FloatArray:
        """Return its distance at the vertebra's local points (n, 3)."""
        return self.shape.at(_moved(self.way, local))


def behind_by_shape(
    field: BoneField, behind_metal: Mask, seen: Mask, shapes: Sequence[VertebraShape]
) -> tuple[Mask, Mask] | None:
    """Tell what of a vertebra's grid is bone behind metal, by vertebrae of other people.

    Parameters
    ----------
    field : BoneField
    behind_metal, seen : ndarray of bool, shape (a, b, c)
        Of `seen_and_hidden`.
    shapes : sequence of VertebraShape

    Returns
    -------
    tuple of ndarray of bool, shape (a, b, c), or None
        What is not believed, a little more than what is hidden, and what of that is bone; None
        where no shape is like the vertebra, or too little of it is seen.
    """
    unknown = _widened(behind_metal, field.step_mm)
    points = _surface(field, seen & ~unknown, unknown)
    laid = [] if points is None else [_laid_over(one, points) for one in _alike(field, shapes)]
    if not laid:
        return None
    best = sorted(laid, key=lambda one: one.left)[:_MEANT]
    places = field.first_local + np.argwhere(unknown) * field.step_mm
    bone = np.zeros_like(unknown)
    bone[unknown] = np.mean([one.at(places) for one in best], axis=0) < 0.0
    return unknown, bone


def _alike(field: BoneField, shapes: Sequence[VertebraShape]) -> tuple[VertebraShape, ...]:
    """Return the shapes of the levels nearest by, several at least; none for a sacrum."""
    level = field.frame.level
    if level == SACRUM:
        return ()
    near: tuple[VertebraShape, ...] = ()
    for reach in _REACHES:
        near = shapes_near(level, shapes, reach)
        if len(near) >= _LEAST:
            break
    return near


def _widened(hidden: Mask, step_mm: float) -> Mask:
    reach = round(_WIDER_MM / step_mm)
    box = bounding_box(hidden, [reach + 1] * 3)
    assert box is not None
    offset = np.indices((2 * reach + 1,) * 3) - reach
    ball = (offset**2).sum(axis=0) <= reach**2
    wider = hidden.copy()
    wider[box] = ndimage.binary_dilation(hidden[box], ball)
    return wider


def _surface(field: BoneField, known: Mask, unknown: Mask) -> FloatArray | None:
    """Return points (n, 3) of the surface that is seen, local mm; None where it is too little."""
    bone = field.values < 0.0
    largest = largest_part(bone & known)
    other = known & ~bone
    found = []
    for axis in range(3):
        low, high = ([slice(None)] * 3 for _ in range(2))
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        a, b = tuple(low), tuple(high)
        wall = np.argwhere(largest[a] & other[b] | other[a] & largest[b]).astype(np.float64)
        wall[:, axis] += 0.5
        found.append(wall)
    index = np.concatenate(found)
    if len(index) < _POINTS:
        return None
    away = ndimage.distance_transform_edt(~unknown, sampling=field.step_mm)
    beside = away[tuple(np.round(index).astype(int).T)]
    weight = np.where(beside <= _NEAR_MM, _NEAR_WEIGHT, 1.0)
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(index), _POINTS, replace=False, p=weight / weight.sum())
    points: FloatArray = field.first_local + index[chosen] * field.step_mm
    return points


def _laid_over(shape: VertebraShape, points: FloatArray) -> _Laid:
    """Lay a shape over points (n, 3) of a surface, so that most of them lie on its own."""
    usual = np.repeat([_SHIFT_MM, _TURN_RAD, _STRETCH], 3)

    def off(way: FloatArray) -> FloatArray:
        distance = np.clip(shape.at(_moved(way, points)), -_OFF_MM, _OFF_MM)
        return np.concatenate([distance, _ORDINARY_WEIGHT * way / usual])

    found = optimize.least_squares(
        off,
        np.zeros(9),
        loss="soft_l1",
        x_scale=np.repeat([1.0, 0.05, 0.05], 3),
        diff_step=np.full(9, 1e-3),
        max_nfev=_TURNS,
    )
    return _Laid(shape, np.asarray(found.x), float(found.cost))


def _moved(way: FloatArray, local: FloatArray) -> FloatArray:
    """Take local points (n, 3) of a vertebra to a shape's: shifted, turned, stretched."""
    turned = (local - way[:3]) @ Rotation.from_rotvec(way[3:6]).as_matrix().T
    stretched: FloatArray = turned * np.exp(way[6:])
    return stretched
