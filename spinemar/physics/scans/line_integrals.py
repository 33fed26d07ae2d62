"""Material images of one slice, with and without metal, and their line integrals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemar.base.boxes import bounding_box
from spinemar.physics.materials import METALS
from spinemar.physics.scans.decomposition import BONE, WATER, tissue_fractions
from spinemar.tomography.geometry import SinogramGeometry
from spinemar.tomography.radon import RadonTransform

Box = tuple[slice, slice]
Implants = Mapping[str, NDArray[np.floating]]
_MARGIN_PX = 2


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
        On pixels of half the size, for `refined` images of the box.
    box : (rows, columns)
        The part of a slice in which implants may lie.
    """

    tissue: RadonTransform
    implants: RadonTransform
    box: Box


def projectors(
    shape: tuple[int, int],
    pixel_mm: tuple[float, float],
    rays: SinogramGeometry,
    box: Box | None = None,
) -> Projectors:
    """Plan the projection of slices; single-threaded, since slices run side by side.

    Parameters
    ----------
    shape : (rows, columns)
    pixel_mm : (row spacing, column spacing) in mm
    rays : SinogramGeometry
    box : (rows, columns), optional
        See `implant_box`; by default implants may lie anywhere.
    """
    rows, columns = box or (slice(0, shape[0]), slice(0, shape[1]))
    fine = 2 * (rows.stop - rows.start), 2 * (columns.stop - columns.start)
    middle = (
        (rows.start + rows.stop - shape[0]) / 2 * pixel_mm[0],
        (columns.start + columns.stop - shape[1]) / 2 * pixel_mm[1],
    )
    return Projectors(
        RadonTransform(shape, pixel_mm, rays, threads=1),
        RadonTransform(fine, (pixel_mm[0] / 2, pixel_mm[1] / 2), rays, threads=1, middle_mm=middle),
        (rows, columns),
    )


def implant_box(fractions: Iterable[NDArray[np.floating]]) -> Box | None:
    """Return the box of rows and columns in which any of the fractions (..., rows, columns) lies.

    None where there is nothing. With a margin that `refined` images do not cross.
    """
    seen: NDArray[np.bool_] | None = None
    for fraction in fractions:
        where = (fraction != 0).reshape(-1, *fraction.shape[-2:]).any(axis=0)
        seen = where if seen is None else seen | where
    box = None if seen is None else bounding_box(seen, (_MARGIN_PX, _MARGIN_PX))
    return None if box is None else (box[0], box[1])


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
    implants: Implants,
    materials: tuple[str, ...],
    project: Projectors,
    *,
    with_truth: bool,
) -> Paths:
    """Project the materials of one slice, (rows, columns): `layer_paths` of one layer."""
    return layer_paths([hu], [implants], materials, project, with_truth=with_truth)[0]


def layer_paths(
    hu: Sequence[NDArray[np.floating]],
    implants: Sequence[Implants],
    materials: tuple[str, ...],
    project: Projectors,
    *,
    with_truth: bool,
) -> list[Paths]:
    """Project the materials of some layers; images of all of them share transforms.

    Parameters
    ----------
    hu : sequence of ndarray, shape (rows, columns)
    implants : sequence of mapping of material to ndarray, same shape
        Volume fractions, layer by layer.
    materials : tuple of str
        Order of the result.
    project : Projectors
        Onto the rays of the scanner; all implants lie in its box.
    with_truth : bool
        Also project the layers without metal.
    """
    present = [{name: f for name, f in some.items() if f.any()} for some in implants]
    tissue = [tissue_fractions(each) for each in hu]
    lengths = project.tissue.forward(np.stack([amount for pair in tissue for amount in pair]))
    bare = np.zeros((len(tissue), len(materials), *lengths.shape[1:]), dtype=np.float32)
    bare[:, _rows(materials, (WATER, BONE))] = lengths.reshape(-1, 2, *lengths.shape[1:])
    scans = _with_implants(bare, tissue, present, materials, project)
    truths: list[NDArray[np.float32] | None] = [None] * len(tissue)
    metal = [n for n, some in enumerate(present) if any(name in METALS for name in some)]
    if with_truth and metal:
        lasting = [{m: f for m, f in present[n].items() if m not in METALS} for n in metal]
        clean = _with_implants(bare[metal], [tissue[n] for n in metal], lasting, materials, project)
        for n, without in zip(metal, clean, strict=True):
            truths[n] = without
    return [Paths(scan, truth) for scan, truth in zip(scans, truths, strict=True)]


def _with_implants(
    bare: NDArray[np.float32],
    tissue: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]],
    implants: Sequence[Implants],
    materials: tuple[str, ...],
    project: Projectors,
) -> NDArray[np.float32]:
    """Add implants to the bare layers' line integrals and take away the tissue they displace."""
    images: list[NDArray[np.float32]] = []
    places: list[tuple[int, int]] = []
    for n, (amounts, some) in enumerate(zip(tissue, implants, strict=True)):
        if some:
            parts = [fraction[project.box] for fraction in some.values()]
            filled = np.clip(sum(parts), 0.0, 1.0).astype(np.float32)
            images += [*(-filled * amount[project.box] for amount in amounts), *parts]
            places += [(n, row) for row in _rows(materials, (WATER, BONE, *some))]
    if not images:
        return bare
    result = bare.copy()
    change = project.implants.forward(np.stack([refined(image) for image in images]))
    for place, one in zip(places, change, strict=True):
        result[place] += one
    return result


def _rows(materials: tuple[str, ...], names: tuple[str, ...]) -> list[int]:
    return [materials.index(name) for name in names]
