"""Old import paths of published examples: the error says where the names are now."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED: Mapping[str, str] = {
    "spinemar.dataset.store": "PairStore",
    "spinemar.mar.gate": "GateParameters",
    "spinemar.mar.inpainting": "Inpainter, ModelFacts, Trace",
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

RENAMED: Mapping[str, str] = {
    "spinemar.io.dicom_export": "spinemar.io.dicom.export",
    "spinemar.mar.methods": "spinemar.mar.inpainters.methods",
    "spinemar.sample_data": "spinemar.demo.sample_data",
    "spinemar.spine.levels": "spinemar.spine.labels.levels",
    "spinemar.spine.naming": "spinemar.spine.labels.conventions",
}
"""Modules that scripts beside this project import: they go on working, and a warning says where."""


class _RenamedModule(Loader):
    """Fills a module of an old name with what the new one holds."""

    def exec_module(self, module: ModuleType) -> None:
        new = RENAMED[module.__name__]
        warnings.warn(
            f"The module {module.__name__} has moved. Use: {new}",
            DeprecationWarning,
            stacklevel=2,
        )
        names = vars(importlib.import_module(new))
        module.__dict__.update({k: v for k, v in names.items() if not k.startswith("__")})


class _MovedModules:
    """Asked last of all finders, so only for modules that are nowhere."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in RENAMED:
            return ModuleSpec(fullname, _RenamedModule())
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
