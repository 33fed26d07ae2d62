"""What was made from other slices is refused; what a scanner reconstructs is not."""

from __future__ import annotations

import numpy as np
import pytest

from spinemar.errors import GeometryError
from spinemar.io.dicom.acquired import check_acquired, why_reformatted
from spinemar.volume import CTVolume, GridGeometry

AXIAL = np.diag([-0.8, -0.8, 2.5])


def turned(about: str, degrees: float) -> np.ndarray:
    """Rotate an axial stack about a patient axis: its slices lean, stacked at a right angle."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler(about, degrees, degrees=True).as_matrix() @ AXIAL


def tilted(degrees: float) -> np.ndarray:
    """Lean the slices as a gantry does; the table still moves along the patient."""
    matrix = turned("x", degrees)
    matrix[:, 2] = AXIAL[:, 2]
    return matrix


def grid(matrix: np.ndarray, slices: int = 6) -> GridGeometry:
    affine = np.eye(4)
    affine[:3, :3] = matrix
    return GridGeometry((slices, 8, 8), affine)


@pytest.mark.parametrize(
    "image_type",
    [
        r"DERIVED\SECONDARY\REFORMATTED\AVERAGE", r"DERIVED\SECONDARY\MPR",
        r"DERIVED\SECONDARY\AXIAL\MIP", r"DERIVED\SECONDARY\OTHER\CSA MPR\\CSAPARALLEL",
        r"DERIVED\SECONDARY\AXIAL\MIN_IP", r"DERIVED\SECONDARY\AXIAL\MAX_IP",
        r"DERIVED\SECONDARY\MIP THIN", r"DERIVED\PRIMARY\AXIAL\CURVED_MPR",
        r"DERIVED\SECONDARY\VRT", r"DERIVED\SECONDARY\AXIAL\RESAMPLED",
        r"ORIGINAL\PRIMARY\REFORMATTED", r"derived\secondary\mpr", r"DERIVED\SECONDARY\CPR",
        r"DERIVED\PRIMARY\AXIAL\CT_SOM7 SPI MIP", r"DERIVED\SECONDARY\PROJECTION IMAGE",
        r"DERIVED\SECONDARY\SSD", r"DERIVED\SECONDARY\AXIAL\SUBTRACTION",
        r"DERIVED\SECONDARY\3D\RENDERED",
    ],
)  # fmt: skip
def test_image_types_of_what_was_computed_from_slices(image_type: str) -> None:
    types = [r"ORIGINAL\PRIMARY\AXIAL", image_type]  # one among many is enough
    assert image_type in str(why_reformatted(types, grid(AXIAL)))


@pytest.mark.parametrize(
    "image_type",
    [
        "", r"ORIGINAL\PRIMARY\AXIAL", r"ORIGINAL\PRIMARY\AXIAL\CT_SOM5 SPI",
        r"DERIVED\SECONDARY\AXIAL", r"DERIVED\PRIMARY\AXIAL", r"DERIVED\PRIMARY\AXIAL\HELIX",
        r"ORIGINAL\PRIMARY\AXIAL\VOLUME", r"DERIVED\SECONDARY\AXIAL\AVERAGE",
        r"DERIVED\SECONDARY\AXIAL\SIMULATED", r"ORIGINAL\PRIMARY\AXIAL\CT_SOM7 SPI DUAL\STD\SNRG",
    ],
)  # fmt: skip
def test_image_types_of_what_a_scanner_reconstructs(image_type: str) -> None:
    assert why_reformatted([image_type], grid(AXIAL)) is None


@pytest.mark.parametrize("flip", [np.diag([1, 1, 1]), np.diag([1, -1, -1]), np.diag([-1, 1, -1])])
@pytest.mark.parametrize(
    ("matrix", "why"),
    [
        (AXIAL, None),
        (turned("z", 30), None),
        (tilted(-25), None),
        (tilted(3), None),
        (turned("x", 0.5), None),
        (turned("x", 10), "oblique"),
        (turned("x", -2), "oblique"),
        (turned("y", 6), "oblique"),
        (AXIAL[:, [0, 2, 1]], "sagittal or coronal"),
        (AXIAL[:, [1, 2, 0]], "sagittal or coronal"),
    ],
)
def test_geometry(matrix: np.ndarray, why: str | None, flip: np.ndarray) -> None:
    told = why_reformatted([r"ORIGINAL\PRIMARY\AXIAL"], grid(matrix @ flip))
    assert (told is None) == (why is None)
    assert (why or "") in (told or "")


def test_what_no_axis_stacks_axially_is_refused_either_way() -> None:
    with pytest.raises(GeometryError, match="off axial"):
        why_reformatted([""], grid(turned("x", 45)))


def test_one_slice_and_files_that_say_nothing() -> None:
    assert why_reformatted([""], grid(turned("x", 10), slices=1)) is None
    hu = np.zeros((6, 8, 8), np.float32)
    affine = grid(turned("x", 10)).ijk_to_ras
    check_acquired(CTVolume(hu, affine, {"source_format": ".nii"}))
    with pytest.raises(GeometryError, match=r"reformatted one: its slices .* --allow-reformatted"):
        check_acquired(CTVolume(hu, affine, {"source_format": "DICOM", "image_type": ""}))
