"""State how a volume was corrected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from spinemar.axial import AxialSlices
from spinemar.mar.inpainters.protocol import Inpainter
from spinemar.mar.result import Provenance
from spinemar.mar.segmentation.metal import MetalSegmentation
from spinemar.mar.segmentation.outline import Outliner
from spinemar.tomography.geometry import SinogramGeometry


def geometry_facts(layout: AxialSlices, rays: SinogramGeometry) -> Mapping[str, float | int | str]:
    """Return the stack axis, both grids and their spacings, for the provenance."""
    return {
        "stack_axis": "kji"[layout.axis],
        "rows": layout.shape[0],
        "columns": layout.shape[1],
        "row_mm": layout.pixel_mm[0],
        "column_mm": layout.pixel_mm[1],
        "slice_mm": layout.spacing_mm,
        "tilt_deg": round(layout.tilt_deg, 3),
        "views": rays.n_views,
        "bins": rays.n_bins,
        "bin_mm": rays.bin_mm,
    }


def make_provenance(
    requested: str,
    metal: MetalSegmentation,
    geometry: Mapping[str, float | int | str],
    worker: Inpainter | None,
    fallback: str | None = None,
    *,
    outlines: Sequence[str] = (),
    outliner: Outliner | None = None,
) -> Provenance:
    """Put the facts of one correction together.

    Parameters
    ----------
    requested : str
        Method asked for.
    metal : MetalSegmentation
    geometry : mapping
        From `geometry_facts`.
    worker : Inpainter or None
        What ran; None when there was no metal.
    fallback : str, optional
        Why the transforms ran elsewhere than asked for.
    outlines : sequence of str
        How the metal of each slice was outlined.
    outliner : Outliner, optional
        What outlined it.
    """
    import spinemar

    model = worker.facts() if worker is not None else None
    return Provenance(
        method=worker.name if worker is not None else "none",
        requested_method=requested,
        metal_source=metal.source,
        metal_threshold_hu=metal.threshold_hu,
        geometry=geometry,
        software_version=spinemar.__version__,
        model_name=model.name if model else None,
        model_version=model.version if model else None,
        model_sha256=model.sha256 if model else None,
        provider=model.provider if model else None,
        fallback=" ".join(x for x in (model and model.fallback, fallback) if x) or None,
        metal_outline=dict(Counter(outlines)),
        metal_network_sha256=outliner.sha256 if outliner is not None else None,
    )
