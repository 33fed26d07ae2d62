"""Labels put together from pieces: copied where they lie on the grid, resampled elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from spinemar.spine.labels.pieces import LabelPiece, compose_labels
from spinemar.volume import GridGeometry

SHAPE = (20, 24, 28)
TILTED = Rotation.from_euler("zyx", [10.0, -7.0, 4.0], degrees=True).as_matrix()


def grid(spacing=(0.8, 0.8, 2.0), turn=None, first=(3.0, -5.0, 7.0)):
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) if turn is None else turn) @ np.diag(spacing)
    matrix[:3, 3] = first
    return GridGeometry(SHAPE, matrix)


def moved(geometry, low):
    """Return the matrix of a piece whose first voxel (k, j, i) is `low` of a grid."""
    matrix = geometry.ijk_to_ras.copy()
    matrix[:3, 3] = geometry.to_ras(np.array(low[::-1], float))
    return matrix


@pytest.mark.parametrize("turn", [None, TILTED])
def test_a_cropped_piece_on_the_grid_comes_back_voxel_by_voxel(turn):
    rng = np.random.default_rng(1)
    whole = rng.integers(0, 4, SHAPE).astype(np.int16)
    geometry = grid(turn=turn)
    low = (4, 5, 6)
    piece = whole[4:15, 5:20, 6:21]
    found = compose_labels(
        [LabelPiece(piece, moved(geometry, low), {1: 20, 3: 22})], geometry
    ).labels
    wanted = np.zeros(SHAPE, np.int16)
    wanted[4:15, 5:20, 6:21] = np.choose(piece, [0, 20, 0, 22])
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("low", [(-3, -2, -4), (15, 18, 22), (40, 0, 0), (-30, 0, 0)])
def test_what_reaches_beyond_the_grid_is_cut_off(low):
    geometry = grid()
    piece = np.ones((8, 8, 8), np.uint8)
    found = compose_labels([LabelPiece(piece, moved(geometry, low), {1: 5})], geometry).labels
    inside = np.indices(SHAPE)
    wanted = np.all([(inside[n] >= low[n]) & (inside[n] < low[n] + 8) for n in range(3)], axis=0)
    np.testing.assert_array_equal(found == 5, wanted)


@pytest.mark.parametrize("turn", [None, TILTED])
@pytest.mark.parametrize("spacing", [(0.5, 0.5, 0.5), (1.7, 1.1, 3.0)])
def test_a_piece_on_another_grid_is_looked_up_at_its_nearest_voxel(turn, spacing):
    """Against an index at every voxel of the grid, one by one."""
    geometry = grid((1.0, 1.0, 1.0))
    piece = np.random.default_rng(2).integers(0, 3, (9, 11, 7)).astype(np.uint8)
    place = GridGeometry(piece.shape, grid(spacing, turn, (6.0, 2.0, 12.0)).ijk_to_ras)
    found = compose_labels([LabelPiece(piece, place.ijk_to_ras, {1: 7, 2: 8})], geometry).labels
    voxels = np.indices(SHAPE).reshape(3, -1).T
    at = place.to_ijk(geometry.to_ras(voxels[:, ::-1].astype(float)))[:, ::-1]
    nearest = np.rint(at).astype(int)
    inside = ((nearest >= 0) & (nearest < piece.shape)).all(axis=1)
    # Half way between two voxels either is the nearest.
    certain = (np.abs(at - nearest) < 0.49).all(axis=1)
    wanted = np.zeros(len(voxels), np.int16)
    wanted[inside] = np.choose(piece[tuple(nearest[inside].T)], [0, 7, 8])
    assert (inside & certain).sum() > 50
    np.testing.assert_array_equal(found.reshape(-1)[certain], wanted[certain])


def test_the_later_piece_is_seen_and_empty_ones_do_nothing():
    geometry = grid()
    one = np.ones((4, 4, 4), np.uint8)
    pieces = [
        LabelPiece(one, moved(geometry, (2, 2, 2)), {1: 3}),
        LabelPiece(one, moved(geometry, (4, 2, 2)), {1: 4}),
        LabelPiece(np.zeros((4, 4, 4), np.uint8), moved(geometry, (2, 2, 2)), {1: 9}),
    ]
    found = compose_labels(pieces, geometry).labels
    assert found[4, 3, 3] == 4
    assert found[3, 3, 3] == 3
    assert not (found == 9).any()
