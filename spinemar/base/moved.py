"""Old import paths of published examples: the error says where the names are now."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED: Mapping[str, str] = {
    "spinemar.dataset.store": "PairStore",
    "spinemar.mar.gate": "GateParameters",
    "spinemar.mar.inpainting": "Inpainter, ModelFacts, Trace",
    "spinemar.mar.methods": "make_inpainter, shipped_model",
    "spinemar.mar.slab": "Slab",
    "spinemar.physics.settings": "ScannerSettings",
    "spinemar.planning.auto": "PlanSettings, plan_construct, plan_with_alternatives",
    "spinemar.planning.grading": "assess_screw",
    "spinemar.planning.plan": "Plan",
    "spinemar.planning.plan_json": "read_plan, write_plan",
    "spinemar.spine.frames": "frames_from_labels",
    "spinemar.spine.segment": "segment_spine",
    "spinemar.tomography.sinogram": "Sinogram",
    "spinemar.tomography.sinogram_files": "read_sinogram, write_sinogram",
}
"""Modules that examples imported, and their names on the front door."""


class _MovedModules:
    """Asked last of all finders, so only for modules that are nowhere."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in MOVED:
            raise ImportError(
                f"The module {fullname} has moved. Use: from spinemar import {MOVED[fullname]}",
                name=fullname,
            )
        return None


def tell_where_modules_went() -> None:
    """Have the import of an old path end with a sentence; done once, by `spinemar` itself."""
    if not any(type(finder).__name__ == _MovedModules.__name__ for finder in sys.meta_path):
        sys.meta_path.append(_MovedModules())
