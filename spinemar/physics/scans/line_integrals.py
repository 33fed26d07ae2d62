"""Material images of one slice, with and without metal, and their line integrals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemar.physics.materials import METALS
from spinemar.physics.scans.decomposition import BONE, WATER, tissue_fractions
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.radon import RadonTransform


@dataclass(frozen=True)
class Paths:
    """Millimetres of each material along each ray of one slice.

    Parameters
    ----------
    scan : ndarray of float32, shape (materials, views, rays)
        With all implants.
    truth : ndarray of float32, same shape, or None
        Without metal; None where there is no metal, and the scan is its own truth.
    """

    scan: NDArray[np.float32]
    truth: NDArray[np.float32] | None


@dataclass(frozen=True)
class Projectors:
    """The transforms from a slice to single rays.

    Parameters
    ----------
    tissue : RadonTransform
        On the CT's own pixels, whose values are band-limited already.
    implants : RadonTransform
        On pixels of half the size, for `refined` images.
    """

    tissue: RadonTransform
    implants: RadonTransform


def projectors(
    shape: tuple[int, int], pixel_mm: tuple[float, float], rays: SinogramGeometry
) -> Projectors:
    """Plan the projection of slices; single-threaded, since slices run side by side."""
    fine = (2 * shape[0], 2 * shape[1]), (pixel_mm[0] / 2, pixel_mm[1] / 2)
    return Projectors(
        RadonTransform(shape, pixel_mm, rays, threads=1),
        RadonTransform(*fine, rays, threads=1),
    )


def refined(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Double the pixels of an image (..., rows, columns) by linear interpolation.

    Volume fractions have edges that a band-limited projection overshoots by several per cent of
    the metal, as if there were negative metal beside it. A positive interpolation kernel on a
    finer grid leaves less than a thousandth of that.
    """
    for axis in (0, 1):
        padded = np.pad(image, [(1, 1) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        middle = np.take(padded, range(1, padded.shape[axis] - 1), axis=axis)
        before = np.take(padded, range(padded.shape[axis] - 2), axis=axis)
        after = np.take(padded, range(2, padded.shape[axis]), axis=axis)
        pair = np.stack((middle + (before - middle) / 4, middle + (after - middle) / 4), axis + 1)
        image = pair.reshape([2 * n if a == axis else n for a, n in enumerate(image.shape)])
    return np.ascontiguousarray(image, dtype=np.float32)


def slice_paths(
    hu: NDArray[np.floating],
    implants: Mapping[str, NDArray[np.floating]],
    materials: tuple[str, ...],
    project: Projectors,
    *,
    with_truth: bool,
) -> Paths:
    """Project the materials of one slice.

    Parameters
    ----------
    hu : ndarray, shape (rows, columns)
    implants : mapping of material to ndarray, same shape
        Volume fractions.
    materials : tuple of str
        Order of the result.
    project : Projectors
        Onto the rays of the scanner.
    with_truth : bool
        Also project the slice without metal.
    """
    present = {name: image for name, image in implants.items() if image.any()}
    tissue = tissue_fractions(hu)
    bare = np.zeros((len(materials), *project.tissue.geometry.shape), dtype=np.float32)
    bare[_rows(materials, (WATER, BONE))] = project.tissue.forward(np.stack(tissue))
    scan = _with_implants(bare, tissue, present, materials, project)
    if not with_truth or not any(name in METALS for name in present):
        return Paths(scan, None)
    lasting = {name: image for name, image in present.items() if name not in METALS}
    return Paths(scan, _with_implants(bare, tissue, lasting, materials, project))


def _with_implants(
    bare: NDArray[np.float32],
    tissue: tuple[NDArray[np.float32], NDArray[np.float32]],
    implants: Mapping[str, NDArray[np.floating]],
    materials: tuple[str, ...],
    project: Projectors,
) -> NDArray[np.float32]:
    """Add implants to the bare patient's line integrals and take away the tissue they displace."""
    if not implants:
        return bare
    filled = np.clip(sum(implants.values()), 0.0, 1.0).astype(np.float32)
    images = [*(-filled * amount for amount in tissue), *implants.values()]
    change = project.implants.forward(np.stack([refined(image) for image in images]))
    result = bare.copy()
    for row, one in zip(_rows(materials, (WATER, BONE, *implants)), change, strict=True):
        result[row] += one
    return result


def _rows(materials: tuple[str, ...], names: tuple[str, ...]) -> list[int]:
    return [materials.index(name) for name in names]
