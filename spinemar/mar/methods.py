"""From the name of a method to the inpainter that does it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from spinemar.errors import InputError, ModelError
from spinemar.mar.classical import LinearInterpolation, NormalizedInterpolation
from spinemar.mar.inpainting import Inpainter

Method = Literal["auto", "generator", "nmar", "li"]
Device = Literal["auto", "cpu", "cuda"]

METHODS: tuple[Method, ...] = ("auto", "generator", "nmar", "li")


def shipped_model() -> Path | None:
    """Return the manifest of the model that came with this software, if one did."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "resources" / "Models", package.parent / "Resources" / "Models"):
        manifest = folder / "manifest.json"
        if manifest.is_file():
            return manifest
    return None


def make_inpainter(method: Method, model: Path | None, device: Device) -> Inpainter:
    """Make the inpainter for a method.

    Parameters
    ----------
    method : {"auto", "generator", "nmar", "li"}
        "auto" takes the given or shipped model if there is one, else NMAR.
    model : Path, optional
        Manifest of a model, or the folder that holds it.
    device : {"auto", "cpu", "cuda"}
        Where networks run.

    Returns
    -------
    Inpainter

    Raises
    ------
    ModelError
        If a model is asked for and missing or unfit.
    """
    if method not in METHODS:
        raise InputError(f"There is no method '{method}'.", f"Use one of: {', '.join(METHODS)}.")
    if method == "li":
        return LinearInterpolation()
    manifest = model or shipped_model()
    if method == "nmar" or (method == "auto" and manifest is None):
        return NormalizedInterpolation()
    if manifest is None:
        raise ModelError(
            "No generator came with this software and none was given.",
            "Give a model's manifest.json, or use the method nmar.",
        )
    return _learned(manifest, device)


def _learned(path: Path, device: Device) -> Inpainter:
    from spinemar.mar.models.manifest import load_manifest

    manifest = load_manifest(path)
    if manifest.prior is not None:
        from spinemar.mar.learned import make_learned_inpainter

        inpainter: Inpainter = make_learned_inpainter(manifest, device)
        return inpainter
    from spinemar.mar.generator import GeneratorInpainter

    return GeneratorInpainter(manifest, device)
