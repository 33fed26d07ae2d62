"""Axial slices in any axis order; reformatted ones refused."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinemar.axial import find_axial_slices
from spinemar.errors import GeometryError
from spinemar.volume import GridGeometry


def _rotation(axis: int, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    a, b = [n for n in range(3) if n != axis]
    matrix = np.eye(3)
    matrix[a, a] = matrix[b, b] = c
    matrix[a, b], matrix[b, a] = -s, s
    return matrix


def _geometry(matrix: np.ndarray, shape: tuple[int, int, int] = (4, 5, 6)) -> GridGeometry:
    affine = np.eye(4)
    affine[:3, :3] = matrix
    return GridGeometry(shape, affine)


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_stack_axis_is_found_in_any_order(order, sign) -> None:
    spacing = np.diag([0.7, 0.9, sign * 2.5])  # i, j along the patient's x and y, k along z
    columns = spacing[:, list(order)]
    shape_ijk = np.array([6, 5, 4])[list(order)]
    layout = find_axial_slices(_geometry(columns, tuple(int(n) for n in shape_ijk[::-1])))
    assert layout.axis == 2 - order.index(2)
    assert layout.spacing_mm == pytest.approx(2.5)
    assert sorted(layout.pixel_mm) == pytest.approx([0.7, 0.9])
    assert sorted(layout.shape) == [5, 6]
    array = np.zeros(tuple(int(n) for n in shape_ijk[::-1]))
    assert layout.of(array).shape == (4, *layout.shape)


@settings(max_examples=25, deadline=None)
@given(tilt=st.floats(-30.0, 30.0), roll=st.floats(-180.0, 180.0), lean=st.floats(-4.0, 4.0))
def test_gantry_tilt_and_a_turned_patient_are_accepted(tilt, roll, lean) -> None:
    # A turn in the slice plane, then tilt about left-right, then a patient lying askew.
    matrix = _rotation(1, lean) @ _rotation(0, tilt) @ _rotation(2, roll)
    assert find_axial_slices(_geometry(matrix)).axis == 0


def test_a_tilted_stack_without_correction_is_a_sheared_grid() -> None:
    tilt = np.radians(20)
    matrix = np.eye(3)
    matrix[:, 1] = [0, np.cos(tilt), np.sin(tilt)]  # planes lean, table moves straight
    layout = find_axial_slices(_geometry(matrix))
    assert abs(layout.tilt_deg) == pytest.approx(20.0)
    assert layout.spacing_mm == pytest.approx(np.cos(tilt))


@pytest.mark.parametrize("axis", [0, 1])
def test_reformatted_slices_are_refused(axis) -> None:
    with pytest.raises(GeometryError, match="45 degrees off axial"):
        find_axial_slices(_geometry(_rotation(axis, 45.0)))
    with pytest.raises(GeometryError, match="off axial"):
        find_axial_slices(_geometry(_rotation(1, 12.0)))


def test_sheared_slices_are_refused() -> None:
    matrix = np.eye(3)
    matrix[0, 1] = 0.1
    with pytest.raises(GeometryError, match="right angle"):
        find_axial_slices(_geometry(matrix))
