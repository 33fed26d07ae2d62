"""Random walker on the bone of a volume: smooth labels that give way at dark gaps.

Each voxel takes the mean of its neighbours, weighted by how well bone conducts between them:
well where both are dense and alike, badly across a joint space. With the vertebrae numbered
along the spine, one solution gives the number, since only neighbours touch.

References
----------
Grady, Random walks for image segmentation, IEEE TPAMI 2006.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import cg

from spinemar.progress import CancelToken

_DARK_HU, _DENSE_HU = 60.0, 400.0
_LEAST = 0.03
_EDGE_HU = 150.0
_ANYWAY = 1e-4
_TOLERANCE = 3e-4
_MOST_STEPS = 400


def walk(
    domain: NDArray[np.bool_],
    fixed: NDArray[np.bool_],
    values: NDArray[np.float32],
    hu: NDArray[np.float32],
    *,
    prior: tuple[NDArray[np.float32], float] | None = None,
    cancel: CancelToken | None = None,
) -> NDArray[np.float32]:
    """Spread fixed values through a domain.

    Parameters
    ----------
    domain : ndarray of bool, shape (s, a, r)
        Voxels that take part; the rest stays 0.
    fixed : ndarray of bool, same shape
        Voxels of the domain that keep their value.
    values : ndarray of float32, same shape
        Their values.
    hu : ndarray of float32, same shape
        Image that decides how values spread.
    prior : tuple of ndarray (same shape) and float, optional
        Values that free voxels are drawn to, and how much (1: as by one dense neighbour).
    cancel : CancelToken, optional

    Returns
    -------
    ndarray of float32, same shape
    """
    free = domain & ~fixed
    count = int(free.sum())
    result = np.where(fixed, values, 0).astype(np.float32)
    if count == 0:
        return result
    index = np.full(domain.shape, -1, np.int32)
    index[free] = np.arange(count, dtype=np.int32)
    diagonal = np.full(count, 1e-9)
    right = np.zeros(count)
    pairs: list[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]] = []
    for one, two in _neighbours(domain):
        weight = _conductance(hu[one], hu[two])
        i, j = index[one], index[two]
        both = (i >= 0) & (j >= 0)
        pairs.append((i[both], j[both], weight[both]))
        for here, there, source in ((i, j, two), (j, i, one)):
            diagonal += np.bincount(here[both], weight[both], count)
            edge = (here >= 0) & (there < 0)
            diagonal += np.bincount(here[edge], weight[edge], count)
            right += np.bincount(here[edge], weight[edge] * values[source][edge], count)
    start = np.zeros(count)
    if prior is not None:
        start = prior[0][free].astype(np.float64)
        diagonal += prior[1]
        right += prior[1] * start
    i, j, w = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    upper = sparse.csr_matrix((-w, (i, j)), shape=(count, count))
    matrix = upper + upper.T + sparse.diags(diagonal)
    scale = sparse.diags(1 / diagonal)

    def look(_: NDArray[np.float64]) -> None:
        if cancel is not None:
            cancel.raise_if_cancelled()

    solution, _ = cg(
        matrix, right, x0=start, rtol=_TOLERANCE, maxiter=_MOST_STEPS, M=scale, callback=look
    )
    result[free] = solution
    return result


_Index = tuple[NDArray[np.intp], ...]


def _neighbours(domain: NDArray[np.bool_]) -> list[tuple[_Index, _Index]]:
    """Pairs of neighbours within the domain along each axis."""
    pairs: list[tuple[_Index, _Index]] = []
    for axis in range(domain.ndim):
        lower = [slice(None)] * domain.ndim
        upper = [slice(None)] * domain.ndim
        lower[axis], upper[axis] = slice(0, -1), slice(1, None)
        one = np.nonzero(domain[tuple(lower)] & domain[tuple(upper)])
        two = tuple(where + (1 if n == axis else 0) for n, where in enumerate(one))
        pairs.append((one, two))
    return pairs


def _conductance(one: NDArray[np.float32], two: NDArray[np.float32]) -> NDArray[np.float64]:
    darker = np.minimum(one, two)
    density = np.clip((darker - _DARK_HU) / (_DENSE_HU - _DARK_HU), _LEAST, 1.0)
    alike = np.exp(-(((one - two) / _EDGE_HU) ** 2))
    weight: NDArray[np.float64] = np.asarray(density**2 * alike + _ANYWAY, dtype=np.float64)
    return weight
