"""What metal hides of a vertebra, lent by its other side.

A vertebra is nearly its own mirror image. What was filled in for metal is a guess from the tissue
beside it: an outline drawn there hugs a screw, or shies away from it. Where the mirrored place can
be seen it tells more: on training and validation patients the breach of a screw was off by 1.5 mm
(standard deviation) as segmented, and by 1.1 mm so (Docs/postop.md).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def lent_by_other_side(
    behind_metal: NDArray[np.bool_], seen: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Tell which voxels that metal hides are seen on the other side.

    Parameters
    ----------
    behind_metal, seen : ndarray of bool, shape (a, b, c)
        Of `seen_and_hidden`; the grid reaches as far to the right as to the left.

    Returns
    -------
    ndarray of bool, same shape
    """
    lent: NDArray[np.bool_] = behind_metal & seen[::-1]
    return lent
