"""The correction's transforms written with scikit-image and with ASTRA, behind the same methods.

So the whole pipeline runs on them unchanged, and not only sums of single transforms compare.
Square images of 512 pixels, where a bin is as wide as a pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from spinemar.tomography.filters import Kernel
from spinemar.tomography.radon import RadonTransform

Float = NDArray[np.float32]


class _OneByOne(RadonTransform):
    """Slices one after the other, as these libraries take them."""

    def forward(self, images: NDArray[np.floating]) -> Float:
        stack = self._checked(images, self.shape, "image")
        result = np.stack([self._one_forward(image) for image in stack])
        return result if np.ndim(images) == 3 else result[0]

    def forward_pair(self, a: NDArray[np.floating], b: NDArray[np.floating]) -> tuple[Float, Float]:
        return self.forward(a), self.forward(b)

    def fbp(self, sinograms: NDArray[np.floating], kernel: Kernel = "ram-lak") -> Float:
        stack = self._checked(sinograms, self.geometry.shape, "sinogram")
        result = np.stack([self._one_back(sinogram) for sinogram in stack])
        return result if np.ndim(sinograms) == 3 else result[0]

    def _one_forward(self, image: Float) -> Float:
        raise NotImplementedError

    def _one_back(self, sinogram: Float) -> Float:
        raise NotImplementedError


class ScikitImageRadon(_OneByOne):
    """`skimage.transform.radon` and `iradon`."""

    engine = "scikit-image"

    def _window(self) -> slice:
        diagonal = int(np.ceil(np.sqrt(2) * self.shape[0]))
        first = (self.geometry.n_bins - diagonal) // 2
        return slice(first, first + diagonal)

    def _one_forward(self, image: Float) -> Float:
        from skimage.transform import radon

        # Its rows point up, so it turns the other way round.
        rays = radon(image, theta=-np.degrees(self.geometry.angles_rad), circle=False)
        result = np.zeros(self.geometry.shape, dtype=np.float32)
        result[:, self._window()] = rays.T * self.pixel_mm[0]
        return result

    def _one_back(self, sinogram: Float) -> Float:
        from skimage.transform import iradon

        rays = sinogram[:, self._window()].T / self.pixel_mm[0]
        theta = -np.degrees(self.geometry.angles_rad)
        image = iradon(
            rays, theta=theta, circle=False, filter_name="ramp", output_size=self.shape[0]
        )
        return np.asarray(image, dtype=np.float32)


class AstraRadon(_OneByOne):
    """ASTRA's projector `kind`: "linear" or "line" (CPU, one core), or "cuda"."""

    engine = "ASTRA"
    kind = "linear"

    def _run(self, name: str, source: Float, out: Float, **settings: Any) -> Float:
        import astra

        rows, columns = self.shape
        bins = self.geometry.n_bins
        volume = astra.create_vol_geom(rows, columns)
        # ASTRA's y points up: angles count the other way.
        angles = -self.geometry.angles_rad
        beams = astra.create_proj_geom("parallel", 1.0, bins, angles)
        forward = name.startswith("FP")
        projector = astra.create_projector(self.kind, beams, volume)
        image = astra.data2d.create("-vol", volume, source if forward else 0.0)
        rays = astra.data2d.create("-sino", beams, 0.0 if forward else source)
        task = astra.astra_dict(name + ("_CUDA" if self.kind == "cuda" else ""))
        task["ProjectorId"] = projector
        task["ProjectionDataId"] = rays
        task["VolumeDataId" if forward else "ReconstructionDataId"] = image
        task.update(settings)
        algorithm = astra.algorithm.create(task)
        astra.algorithm.run(algorithm)
        out[...] = astra.data2d.get(rays if forward else image)
        astra.algorithm.delete(algorithm)
        astra.data2d.delete([image, rays])
        astra.projector.delete(projector)
        return out

    def _one_forward(self, image: Float) -> Float:
        out = np.empty(self.geometry.shape, dtype=np.float32)
        return self._run("FP", image, out) * np.float32(self.pixel_mm[0])

    def _one_back(self, sinogram: Float) -> Float:
        out = np.empty(self.shape, dtype=np.float32)
        return self._run("FBP", sinogram, out) / np.float32(self.pixel_mm[0])


class AstraCudaRadon(AstraRadon):
    """ASTRA on a GPU."""

    kind = "cuda"


PEERS: dict[str, type[RadonTransform]] = {
    "scikit-image": ScikitImageRadon,
    "ASTRA CPU": AstraRadon,
    "ASTRA CUDA": AstraCudaRadon,
}


@contextmanager
def transforms_of(peer: str | None) -> Iterator[None]:
    """Let `correct_volume` run on a peer's transforms inside the block; None: on ours."""
    if peer is None:
        yield
        return

    def make(shape: Any, pixel_mm: Any, geometry: Any, threads: int, device: str) -> Any:
        return PEERS[peer](shape, pixel_mm, geometry, threads=threads)

    with mock.patch("spinemar.mar.correct.make_radon", make):
        yield
