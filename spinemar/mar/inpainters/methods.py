"""From the name of a method to the inpainter that does it."""

from __future__ import annotations

from pathlib import Path

from spinemar.base.files.hashes import file_sha256
from spinemar.base.json_text import read_json
from spinemar.errors import InputError, ModelError
from spinemar.mar.inpainters.classical import LinearInterpolation, NormalizedInterpolation
from spinemar.mar.inpainters.protocol import Inpainter
from spinemar.mar.pipeline.threads import ThreadPlan
from spinemar.mar.segmentation.outline import MeasuredOutline, Outliner
from spinemar.mar.settings import Device, Method


def shipped_model() -> Path | None:
    """Return the manifest of the model that came with this software, if one did."""
    for folder in _model_folders():
        manifest = folder / "manifest.json"
        if manifest.is_file():
            return manifest
    return None


def shipped_models() -> dict[str, Path]:
    """Return the manifests that came with this software by their models' names, default first.

    Further models lie beside the default one, as `manifest-*.json`, and may share its files.
    """
    default = shipped_model()
    if default is None:
        return {}
    found: dict[str, Path] = {}
    for path in (default, *sorted(default.parent.glob("manifest-*.json"))):
        try:
            content = read_json(path, "model manifest")
        except InputError:  # said when that model is used
            continue
        if isinstance(content, dict) and isinstance(content.get("name"), str):
            found.setdefault(content["name"], path)
    return found


def find_model(model: Path) -> Path:
    """Return the manifest that a path or a shipped model's name means.

    Raises
    ------
    ModelError
        If a bare name is neither a file here nor the name of a shipped model.
    """
    if model.exists() or model.name != str(model) or model.suffix == ".json":
        return model
    shipped = shipped_models()
    if str(model) in shipped:
        return shipped[str(model)]
    raise ModelError(
        f"There is no model called {model}.",
        f"Give a model's manifest.json, or one of: {', '.join(shipped) or 'none came along'}.",
    )


def manifest_sha256(model: Path | None) -> str | None:
    """Return the SHA-256 of the manifest that a correction uses; it names that of every network.

    Parameters
    ----------
    model : Path, optional
        As for `make_inpainter`.

    Returns
    -------
    str or None
        None where there is no model, or none that can be read.
    """
    path = shipped_model() if model is None else find_model(model)
    if path is None:
        return None
    try:
        return file_sha256(path / "manifest.json" if path.is_dir() else path)
    except (OSError, InputError):
        return None


def _model_folders() -> tuple[Path, ...]:
    package = Path(__file__).resolve().parents[2]
    return package / "resources" / "Models", package.parent / "Resources" / "Models"


def make_inpainter(method: Method, model: Path | None, device: Device) -> Inpainter:
    """Make the inpainter for a method.

    Parameters
    ----------
    method : {"auto", "generator", "nmar", "li"}
        "auto" takes the given or shipped model if there is one, else NMAR.
    model : Path, optional
        Manifest of a model, the folder that holds it, or the name of a shipped one.
    device : {"auto", "cpu", "cuda", "cuda-fp16"}
        Where networks run.

    Returns
    -------
    Inpainter

    Raises
    ------
    ModelError
        If a model is asked for and missing or unfit.
    """
    if method == "li":
        return LinearInterpolation()
    manifest = model or shipped_model()
    if method == "nmar" or (method == "auto" and manifest is None):
        return NormalizedInterpolation()
    if manifest is None:
        raise ModelError(
            "No model came with this software and none was given.",
            "Give a model's manifest.json, or use the method nmar.",
        )
    return _learned(manifest, device)


def make_outliner(model: Path | None, device: Device) -> Outliner:
    """Make what outlines the metal, for every method: the model's network if it has one.

    Parameters
    ----------
    model : Path, optional
        As for `make_inpainter`; by default the shipped model.
    device : {"auto", "cpu", "cuda", "cuda-fp16"}

    Returns
    -------
    Outliner
        Without a network it measures the outline where the scale allows it.

    Raises
    ------
    ModelError
        If the model is missing or unfit.
    """
    from spinemar.mar.inpainters.models.manifest import load_metal_network

    path = model or shipped_model()
    network = None if path is None else load_metal_network(find_model(path))
    if network is None:
        return MeasuredOutline()
    from spinemar.mar.inpainters.learned.metal_network import NetworkOutline
    from spinemar.mar.inpainters.models.session import NetworkSession

    threads = ThreadPlan.for_machine().threads_each
    return NetworkOutline(network, NetworkSession(network, device, threads=threads))


def _learned(path: Path, device: Device) -> Inpainter:
    from spinemar.mar.inpainters.models.manifest import load_manifest

    manifest = load_manifest(find_model(path))
    if manifest.prior is not None:
        from spinemar.mar.inpainters.learned import make_learned_inpainter

        inpainter: Inpainter = make_learned_inpainter(manifest, device)
        return inpainter
    from spinemar.mar.inpainters.learned.generator import GeneratorInpainter

    return GeneratorInpainter(manifest, device)
