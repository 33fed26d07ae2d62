"""Material images of one slice, with and without metal, and their line integrals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemar.physics.decomposition import material_fractions
from spinemar.physics.materials import METALS
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


def slice_paths(
    hu: NDArray[np.floating],
    implants: Mapping[str, NDArray[np.floating]],
    materials: tuple[str, ...],
    radon: RadonTransform,
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
        Order of the result; "water" and "cortical_bone" first.
    radon : RadonTransform
        Onto the rays of the scanner.
    with_truth : bool
        Also project the slice without metal.
    """
    present = {name: image for name, image in implants.items() if image.any()}
    scan = material_fractions(hu, present)
    if not with_truth or not any(name in METALS for name in present):
        return Paths(_project(scan, materials, radon), None)
    lasting = {name: image for name, image in present.items() if name not in METALS}
    truth = material_fractions(hu, lasting)
    return Paths(_project(scan, materials, radon), _project(truth, materials, radon))


def _project(
    amounts: Mapping[str, NDArray[np.float32]], materials: tuple[str, ...], radon: RadonTransform
) -> NDArray[np.float32]:
    present = [index for index, name in enumerate(materials) if name in amounts]
    images = np.stack([amounts[materials[index]] for index in present])
    sinograms = radon.forward(images)
    if len(present) == len(materials):
        return sinograms
    result = np.zeros((len(materials), *sinograms.shape[1:]), dtype=np.float32)
    result[present] = sinograms
    return result
