"""SpineMAR: metal artifact reduction for spine CT, and the data that teaches it.

These names are the front door, and what stays when rooms are rebuilt; each is loaded when it is
first asked for, so `import spinemar` costs nothing:

>>> import spinemar
>>> spinemar.CTVolume.__module__
'spinemar.volume'

Everything else is internal: documented and typed, but free to move from one version to the next.
"""

from __future__ import annotations

from spinemar.base.moved import tell_where_modules_went

TYPE_CHECKING = False  # as type checkers know it, without the cost of importing typing
if TYPE_CHECKING:
    from typing import Any

    from spinemar.dataset.storage.reader import PairStore
    from spinemar.errors import SpinemarError
    from spinemar.evaluation import evaluate
    from spinemar.implants.catalogue import Catalogue, load_catalogue
    from spinemar.implants.placement import Cage, Rod, Screw
    from spinemar.implants.voxelize import voxelize_plan
    from spinemar.io import read_labels, read_mask, read_volume, write_labels, write_volume
    from spinemar.io.dicom.export import write_derived_series
    from spinemar.mar.correct import correct_volume
    from spinemar.mar.inpainters.methods import make_inpainter, shipped_model
    from spinemar.mar.inpainters.protocol import Inpainter, ModelFacts, Trace
    from spinemar.mar.pipeline.gate import GateParameters
    from spinemar.mar.pipeline.slab import Slab
    from spinemar.mar.raw import correct_sinogram
    from spinemar.mar.result import CorrectionResult
    from spinemar.mar.segmentation.metal import segment_metal
    from spinemar.mar.settings import CorrectionSettings
    from spinemar.physics.scanner import simulate_scan
    from spinemar.physics.scanner_settings import ScannerSettings
    from spinemar.planning.constructs.automatic import (
        PlanSettings,
        plan_construct,
        plan_with_alternatives,
    )
    from spinemar.planning.grades.gertzbein_robbins import assess_screw
    from spinemar.planning.plans.plan import Plan
    from spinemar.planning.plans.plan_json import read_plan, write_plan
    from spinemar.progress import CancelToken
    from spinemar.spine.anatomy.frames import frames_from_labels
    from spinemar.spine.model import SpineModel
    from spinemar.spine.segmentation.segment import segment_spine
    from spinemar.tomography.geometry import SinogramGeometry
    from spinemar.tomography.radon import RadonTransform
    from spinemar.tomography.raw_data.sinogram import Sinogram
    from spinemar.tomography.raw_data.sinogram_files import read_sinogram, write_sinogram
    from spinemar.volume import CTVolume, LabelVolume

__version__ = "0.1.0"

__all__ = [
    "CTVolume",
    "Cage",
    "CancelToken",
    "Catalogue",
    "CorrectionResult",
    "CorrectionSettings",
    "GateParameters",
    "Inpainter",
    "LabelVolume",
    "ModelFacts",
    "PairStore",
    "Plan",
    "PlanSettings",
    "RadonTransform",
    "Rod",
    "ScannerSettings",
    "Screw",
    "Sinogram",
    "SinogramGeometry",
    "Slab",
    "SpineModel",
    "SpinemarError",
    "Trace",
    "assess_screw",
    "correct_sinogram",
    "correct_volume",
    "evaluate",
    "frames_from_labels",
    "load_catalogue",
    "make_inpainter",
    "plan_construct",
    "plan_with_alternatives",
    "read_labels",
    "read_mask",
    "read_plan",
    "read_sinogram",
    "read_volume",
    "segment_metal",
    "segment_spine",
    "shipped_model",
    "simulate_scan",
    "voxelize_plan",
    "write_derived_series",
    "write_labels",
    "write_plan",
    "write_sinogram",
    "write_volume",
]

_MODULES = {
    "spinemar.dataset.storage.reader": "PairStore",
    "spinemar.errors": "SpinemarError",
    "spinemar.evaluation": "evaluate",
    "spinemar.implants.catalogue": "Catalogue load_catalogue",
    "spinemar.implants.placement": "Cage Rod Screw",
    "spinemar.implants.voxelize": "voxelize_plan",
    "spinemar.io": "read_labels read_mask read_volume write_labels write_volume",
    "spinemar.io.dicom.export": "write_derived_series",
    "spinemar.mar.correct": "correct_volume",
    "spinemar.mar.inpainters.methods": "make_inpainter shipped_model",
    "spinemar.mar.inpainters.protocol": "Inpainter ModelFacts Trace",
    "spinemar.mar.pipeline.gate": "GateParameters",
    "spinemar.mar.pipeline.slab": "Slab",
    "spinemar.mar.raw": "correct_sinogram",
    "spinemar.mar.result": "CorrectionResult",
    "spinemar.mar.segmentation.metal": "segment_metal",
    "spinemar.mar.settings": "CorrectionSettings",
    "spinemar.physics.scanner": "simulate_scan",
    "spinemar.physics.scanner_settings": "ScannerSettings",
    "spinemar.planning.constructs.automatic": "PlanSettings plan_construct plan_with_alternatives",
    "spinemar.planning.grades.gertzbein_robbins": "assess_screw",
    "spinemar.planning.plans.plan": "Plan",
    "spinemar.planning.plans.plan_json": "read_plan write_plan",
    "spinemar.progress": "CancelToken",
    "spinemar.spine.anatomy.frames": "frames_from_labels",
    "spinemar.spine.model": "SpineModel",
    "spinemar.spine.segmentation.segment": "segment_spine",
    "spinemar.tomography.geometry": "SinogramGeometry",
    "spinemar.tomography.radon": "RadonTransform",
    "spinemar.tomography.raw_data.sinogram": "Sinogram",
    "spinemar.tomography.raw_data.sinogram_files": "read_sinogram write_sinogram",
    "spinemar.volume": "CTVolume LabelVolume",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'spinemar' has no attribute '{name}'")
    from importlib import import_module

    found = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


tell_where_modules_went()
