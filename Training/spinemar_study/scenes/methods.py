"""The methods under test, each made once and used for every scan."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinemar.mar.pipeline.gate import GateParameters

OPEN_GATE = GateParameters.open()
WITH_GENERATOR = "spinemar-lumbar-generator"


@dataclass(frozen=True)
class StudyMethod:
    """An inpainter with a name, and a key that changes when its weights do."""

    name: str
    key: str
    inpainter: Any


def study_methods(
    names: Sequence[str] = ("nmar", "prior only", "generator"), models: Sequence[str] = ()
) -> list[StudyMethod]:
    """Make LI, NMAR, models that ship, and further models.

    "shipped" is the model that a user gets unasked, "prior only" its prior, and "generator" the
    model that has the same prior and the generator. All with their own gate.
    """
    from spinemar.mar.inpainters.learned import make_learned_inpainter
    from spinemar.mar.inpainters.methods import make_inpainter

    found = []
    for name in names:
        if name in ("li", "nmar"):
            found.append(StudyMethod(name, name, make_inpainter(name, None, "cpu")))  # type: ignore[arg-type]
            continue
        if name not in ("shipped", "prior only", "generator"):
            raise ValueError(f"There is no method {name!r}.")
        manifest = shipped_manifest(WITH_GENERATOR if name == "generator" else None)
        if name == "prior only":
            manifest = dataclasses.replace(manifest, generator=None)
        inpainter = make_learned_inpainter(manifest, "cpu")
        found.append(StudyMethod(name, f"{name}-{_model_key(manifest)}", inpainter))
    return found + [_further(Path(path)) for path in models]


def shipped_manifest(name: str | None = None) -> Any:
    """Return the verified manifest of a model that ships; by default the one used unasked."""
    from spinemar.mar.inpainters.methods import shipped_model, shipped_models
    from spinemar.mar.inpainters.models.manifest import load_manifest

    path = shipped_model() if name is None else shipped_models().get(name)
    if path is None:
        raise FileNotFoundError("No model came with this software (Resources/Models).")
    return load_manifest(path)


def _model_key(manifest: Any) -> str:
    """Say which weights and which gate ran: version and the start of the hash."""
    gate = manifest.gate.to_json() if hasattr(manifest.gate, "to_json") else {}
    import hashlib

    digest = hashlib.sha256(f"{manifest.sha256}{sorted(gate.items())}".encode()).hexdigest()
    return f"{manifest.version}-{digest[:8]}"


def _further(path: Path) -> StudyMethod:
    from spinemar.mar.inpainters.learned import make_learned_inpainter
    from spinemar.mar.inpainters.models.manifest import load_manifest

    manifest = load_manifest(path)
    name = path.name if path.is_dir() else path.stem.removeprefix("manifest-")
    return StudyMethod(name, f"{name}-{_model_key(manifest)}", make_learned_inpainter(manifest))
