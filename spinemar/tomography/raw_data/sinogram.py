"""Raw data: projections with the geometry they were measured in and their place in space."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import GeometryError, InputError
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.raw_data.fan import FanGeometry
from spinemar.tomography.raw_data.helical import HelicalGeometry, Interpolation, helical_to_fan
from spinemar.tomography.raw_data.rebinning import fan_to_parallel, resample_parallel
from spinemar.volume import GridGeometry

RawGeometry = SinogramGeometry | FanGeometry | HelicalGeometry


def _supine() -> NDArray[np.float64]:
    # Columns towards the patient's left, rows towards the back, slices towards the head.
    return np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Sinogram:
    """Line integrals (of water at 70 keV: beam hardening of water corrected).

    Parameters
    ----------
    projections : ndarray of float32
        (slices, views, bins) for parallel and fan beams, (views, rows, bins) for a helix.
    geometry : SinogramGeometry, FanGeometry or HelicalGeometry
    slices_mm : ndarray, shape (slices,)
        Place of each slice along the scanner's z axis, evenly spaced; for a helix the slices
        to reconstruct.
    scanner_to_ras : ndarray, shape (4, 4)
        From millimetres about the centre of rotation (x along image columns, y along rows, z
        along the table) to RAS. By default a supine patient, head first.
    thickness_mm : float
        Slice thickness: the spacing of the image where there is one slice only.
    """

    projections: NDArray[np.float32]
    geometry: RawGeometry
    slices_mm: NDArray[np.float64]
    scanner_to_ras: NDArray[np.float64] = field(default_factory=_supine)
    thickness_mm: float = 1.0

    def __post_init__(self) -> None:
        data = np.ascontiguousarray(self.projections, dtype=np.float32)
        places = np.atleast_1d(np.asarray(self.slices_mm, dtype=np.float64))
        helical = isinstance(self.geometry, HelicalGeometry)
        expected = self.geometry.shape if helical else (len(places), *self.geometry.shape)
        if data.shape != expected:
            raise GeometryError(
                f"The projections have shape {data.shape}, their geometry says {expected}.",
                "Check views, bins and slices, and the order of the axes.",
            )
        if not np.isfinite(data).all():
            raise InputError(
                "The projections hold values that are not numbers.",
                "Export line integrals: minus the logarithm of measured over open beam.",
            )
        steps = np.diff(places)
        if len(places) == 0 or (steps.size and np.ptp(steps) > 1e-3 * abs(steps[0])):
            raise GeometryError(
                "The slices of the raw data are not evenly spaced.",
                "Give at least one slice, and the same distance between all of them.",
            )
        object.__setattr__(self, "projections", data)
        object.__setattr__(self, "slices_mm", places)
        object.__setattr__(self, "scanner_to_ras", np.asarray(self.scanner_to_ras, float))

    @property
    def kind(self) -> str:
        """Name of the geometry: "parallel", "fan" or "helical"."""
        if isinstance(self.geometry, HelicalGeometry):
            return "helical"
        return "fan" if isinstance(self.geometry, FanGeometry) else "parallel"

    @property
    def field_mm(self) -> float:
        """Diameter of the circle that every view sees."""
        geometry = self.geometry
        if isinstance(geometry, SinogramGeometry):
            return geometry.n_bins * geometry.bin_mm
        fan = geometry.fan if isinstance(geometry, HelicalGeometry) else geometry
        return 2.0 * float(fan.source_mm * np.sin(fan.half_fan_rad))

    def to_parallel(
        self, parallel: SinogramGeometry, method: Interpolation = "180"
    ) -> NDArray[np.float32]:
        """Rebin (and, for a helix, interpolate) all slices to parallel rays.

        Parameters
        ----------
        parallel : SinogramGeometry
        method : {"180", "360"}
            Helical interpolation.

        Returns
        -------
        ndarray of float32, shape (slices, parallel.n_views, parallel.n_bins)
        """
        geometry = self.geometry
        if isinstance(geometry, SinogramGeometry):
            return resample_parallel(self.projections, geometry, parallel)
        if isinstance(geometry, FanGeometry):
            return fan_to_parallel(self.projections, geometry, parallel)
        result = np.empty((len(self.slices_mm), *parallel.shape), dtype=np.float32)
        for k, z in enumerate(self.slices_mm):  # one at a time: a turn is large
            turn = helical_to_fan(self.projections, geometry, [float(z)], method)
            result[k] = fan_to_parallel(turn[0], geometry.fan, parallel)
        return result

    def image_grid(self, matrix: int = 512, fov_mm: float | None = None) -> GridGeometry:
        """Place images of `matrix` x `matrix` pixels about the centre of rotation.

        Parameters
        ----------
        matrix : int
        fov_mm : float, optional
            Side of the image; by default the square inside the field that every view sees.

        Raises
        ------
        InputError
            If no such image can be reconstructed.
        """
        side = fov_mm if fov_mm is not None else self.field_mm / float(np.sqrt(2.0))
        if not 16 <= matrix <= 4096 or not 10.0 <= side <= 2000.0:
            raise InputError(
                f"An image of {matrix} pixels and {side:g} mm cannot be reconstructed.",
                "Use 16 to 4096 pixels and a field of view of 10 to 2000 mm.",
            )
        pixel = side / matrix
        step = float(np.diff(self.slices_mm)[0]) if len(self.slices_mm) > 1 else self.thickness_mm
        to_scanner = np.diag([pixel, pixel, step, 1.0])
        to_scanner[:2, 3] = -pixel * (matrix - 1) / 2
        to_scanner[2, 3] = self.slices_mm[0]
        shape = (len(self.slices_mm), matrix, matrix)
        return GridGeometry(shape, self.scanner_to_ras @ to_scanner)
