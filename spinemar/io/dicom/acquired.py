"""Are these the slices that the scanner reconstructed? Only along their planes did its rays run.

A reformat, a projection or an oblique stack was computed from other slices: each of its pixels
mixes several acquired planes, and no trace in it is the trace of metal. It looks like a CT all the
same, so it is refused unless the user says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from spinemar.axial import find_axial_slices
from spinemar.errors import GeometryError
from spinemar.io.affine import tilt_deg
from spinemar.io.dicom.kind import resampled_type
from spinemar.volume import CTVolume, GridGeometry

# A gantry's tilt leans the slices, not the table: their stack then is sheared by that angle.
_STRAIGHT_DEG = 1.0


def check_acquired(volume: CTVolume) -> None:
    """Refuse a DICOM series that was made from other slices.

    Volumes of other formats do not say how they were made, and lie in any order: they pass.

    Parameters
    ----------
    volume : CTVolume
        As `read_volume` returns it.

    Raises
    ------
    GeometryError
        With the reason.
    """
    if volume.metadata.get("source_format") != "DICOM":
        return
    why = why_reformatted(volume.metadata.get("image_type", "").split("\n"), volume.geometry)
    if why is not None:
        raise GeometryError(
            f"The series is a reformatted one: {why}.",
            "Load the original axial series. To correct this one all the same, allow it with "
            "--allow-reformatted.",
        )


def why_reformatted(image_types: Iterable[str], geometry: GridGeometry) -> str | None:
    """Return what tells that a DICOM series was made from other slices; None if nothing does.

    Parameters
    ----------
    image_types : iterable of str
        ImageType (0008,0008) of its images, values parted by backslashes.
    geometry : GridGeometry
        Its slices are stacked along k.

    Raises
    ------
    GeometryError
        If the slices lie so that nothing can be corrected.
    """
    kind = resampled_type(image_types)
    if kind is not None:
        return f"its image type is {kind}"
    axial = find_axial_slices(geometry)
    if axial.axis != 0:
        return "its images are sagittal or coronal"
    i, j = geometry.ijk_to_ras[:3, 0], geometry.ijk_to_ras[:3, 1]
    normal = np.cross(i, j) / np.linalg.norm(np.cross(i, j))
    off_axial = float(np.degrees(np.arccos(min(abs(float(normal[2])), 1.0))))
    # With a tilted gantry the table still moves along the patient: the stack is sheared.
    if geometry.shape[0] > 1 and off_axial - tilt_deg(geometry.ijk_to_ras) > _STRAIGHT_DEG:
        return f"its slices are oblique ({off_axial:.0f} degrees) and stacked at a right angle"
    return None
