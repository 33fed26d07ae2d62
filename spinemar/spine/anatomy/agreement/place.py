"""Where labels would fit the CT best: how far they lie off it, and how much too large they are."""

from __future__ import annotations

import numpy as np

from spinemar.spine.anatomy.agreement.borders import EdgeScore, FloatArray

#: Labels are looked for so far around where they lie, mm, in coarse steps and then in fine ones.
_REACH_MM, _COARSE_MM, _FINE_MM = 12.0, 3.0, 1.0
_STEP_MM = 0.5
_SIZES_MM = np.arange(-4.0, 4.0 + _STEP_MM / 2, _STEP_MM)
#: So far a border may move to either side when it is compared with its mirror image, mm.
_SIDEWAYS_MM = np.arange(-4.0, 4.1, 1.0)


def best_offset(edges: EdgeScore) -> tuple[FloatArray, float]:
    """Return by how much labels (3,) would have to be moved, RAS mm, and their score there.

    The offset is NaN where the CT does not show the labels.
    """
    around = _lattice(_REACH_MM, _COARSE_MM)
    coarse, score = _best(edges, around)
    if not np.isfinite(score):
        return np.full(3, np.nan), float("nan")
    fine, score = _best(edges, coarse + _lattice(_COARSE_MM - _FINE_MM, _FINE_MM))
    return fine, score


def best_sideways(edges: EdgeScore, right: FloatArray) -> float:
    """Return the best score of a border that may move to the patient's right or left.

    Parameters
    ----------
    edges : EdgeScore
    right : ndarray, shape (3,)
        A unit vector, RAS.
    """
    scores = edges.score(_SIDEWAYS_MM[:, None] * right)
    return float(np.nanmax(scores)) if np.isfinite(scores).any() else float("nan")


def best_growth_mm(edges: EdgeScore) -> float:
    """Return by how much labels would have to grow, mm; negative where they are too fat."""
    scores = np.array([edges.score(np.zeros((1, 3)), size)[0] for size in _SIZES_MM])
    if not np.isfinite(scores).any():
        return float("nan")
    best = int(np.nanargmax(scores))
    return float(_SIZES_MM[best] + _STEP_MM * _vertex(scores[max(best - 1, 0) : best + 2]))


def _vertex(three: FloatArray) -> float:
    """Return where the parabola through three equidistant values peaks, -0.5 to 0.5 steps off."""
    bend = three[0] - 2 * three[1] + three[-1] if len(three) == 3 else 0.0
    return float((three[0] - three[2]) / (2 * bend)) if np.isfinite(bend) and bend < 0 else 0.0


def _lattice(reach_mm: float, step_mm: float) -> FloatArray:
    line = np.arange(-reach_mm, reach_mm + step_mm / 2, step_mm)
    grid = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, 3)
    # The nearest first: of equal ones it is taken.
    return grid[np.argsort(np.linalg.norm(grid, axis=1), kind="stable")]


def _best(edges: EdgeScore, shifts: FloatArray) -> tuple[FloatArray, float]:
    scores = np.concatenate([edges.score(part) for part in np.array_split(shifts, 8)])
    if not np.isfinite(scores).any():
        return shifts[0], float("nan")
    best = int(np.nanargmax(scores))
    return shifts[best], float(scores[best])
