"""The implants of a plan as voxels of their own, and as a DICOM Segmentation of a CT."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import InputError
from spinemar.implants.catalogue import Catalogue
from spinemar.implants.kinds import ImplantKind, implants_of
from spinemar.implants.placement import Construct, ImportedMesh
from spinemar.implants.voxelize import Box, voxelize_solid
from spinemar.io.segmentations.dicom_seg_writing import MarkedObject, write_dicom_segmentation
from spinemar.volume import GridGeometry


def write_implants_segmentation(
    path: Path,
    plan: Construct,
    geometry: GridGeometry,
    catalogue: Catalogue,
    sources: Sequence[Path] = (),
    *,
    description: str,
    least_share: float = 0.5,
) -> tuple[MarkedObject, ...]:
    """Write the implants of a plan as a DICOM Segmentation of a CT, a segment for each.

    Parameters
    ----------
    path : Path
    plan : Construct
    geometry : GridGeometry
        Of the CT.
    catalogue : Catalogue
    sources : sequence of path
        The files of the CT's series; none where it is not from DICOM.
    description : str
        Of the series, in English.
    least_share : float
        As for `marked_implants`.

    Returns
    -------
    tuple of MarkedObject
        The segments in their order.

    Raises
    ------
    InputError
        If none of the implants lies in the CT, or as `write_dicom_segmentation`.
    """
    from spinemar import __version__

    marked = tuple(marked_implants(plan, geometry, catalogue, least_share))
    if not marked:
        raise InputError(
            "None of the plan's implants lies in this CT.", "Give the CT that the plan was made on."
        )
    write_dicom_segmentation(
        path, marked, geometry, sources, description=description, software_version=__version__
    )
    return marked


def marked_implants(
    plan: Construct, geometry: GridGeometry, catalogue: Catalogue, least_share: float = 0.5
) -> Iterator[MarkedObject]:
    """Yield every implant that fills a voxel of a grid, kind by kind.

    Parameters
    ----------
    plan : Construct
    geometry : GridGeometry
        Of the CT.
    catalogue : Catalogue
    least_share : float
        Of a voxel that an implant fills where it is marked. Implants may share voxels.

    Raises
    ------
    InputError
        As `spinemar.implants.voxelize.voxelize_plan`.
    """
    for kind, implant in implants_of(plan):
        found = list(_filled(kind, implant, geometry, catalogue))
        if not found:
            continue
        first = np.min([[side.start for side in box] for box, _ in found], axis=0)
        stop = np.max([[side.stop for side in box] for box, _ in found], axis=0)
        share = np.zeros(stop - first, np.float32)
        for box, part in found:
            k, j, i = (int(side.start - n) for side, n in zip(box, first, strict=True))
            depth, height, width = part.shape
            share[k : k + depth, j : j + height, i : i + width] += part
        if (share >= least_share).any():
            k, j, i = (int(n) for n in first)
            yield MarkedObject(label_of(kind, implant), kind.code, (k, j, i), share >= least_share)


def label_of(kind: ImplantKind, implant: Any) -> str:
    """Return what a segment of an implant is called: "screw L3 left", "rod 1 left"."""
    noun, name = kind.title.lower().removesuffix("s"), implant.id.replace("-", " ")
    return name if name.startswith(noun) else f"{noun} {name}"


def _filled(
    kind: ImplantKind, implant: Any, geometry: GridGeometry, catalogue: Catalogue
) -> Iterator[tuple[Box, NDArray[np.float32]]]:
    if isinstance(implant, ImportedMesh):
        from spinemar.implants.surfaces.imported import voxelize_mesh

        found = [voxelize_mesh(implant, geometry, geometry)]
    else:
        found = [voxelize_solid(part.solid, geometry) for part in kind.parts(implant, catalogue)]
    yield from (one for one in found if one is not None)
