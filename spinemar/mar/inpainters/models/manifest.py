"""The manifest beside a model: what the networks are, and whether they may be used.

manifest.json::

    {"schema": "spinemar-model/1", "name": ..., "version": ..., "pipeline_version": "5",
     "licence": ..., "geometry": {"views": 720, "bins": 736, "bins_per_fov": 512},
     "gate": {...},                          (optional, see gate.GateParameters)
     "networks": {"prior": {...}, "generator": {...},        (at least one of these two)
                  "metal": {...},                            (optional: outlines the metal)
                  "fusion": {...}},                          (optional: takes an earlier CT in)
     ... any further facts: training_data, metrics, ...}

and of each network::

    {"file": "generator.onnx", "sha256": "...", "normalisation": {"scale": 4.0},
     "inputs": {"sinogram": ["B", 3, 720, 736], "trace": ["B", 3, 720, 736]},
     "outputs": {"inpainted": ["B", 1, 720, 736]},
     "settings": {...},                      (optional, for the code that runs the network)
     "fp16": {"file": "generator.fp16.onnx", "sha256": "..."}}   (optional)

The optional 16-bit file has the same inputs and outputs, in 32 bits. A dimension given as text
may vary. Anything that does not fit is refused with a `ModelError`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from spinemar.base.files.regular import read_regular
from spinemar.base.json_text import parse_json, shown
from spinemar.errors import InputError, ModelError
from spinemar.mar.inpainters.models.onnx_scan import refuse_unsafe
from spinemar.mar.pipeline.gate import GateParameters
from spinemar.mar.result import PIPELINE_VERSION
from spinemar.tomography.geometry import BINS_PER_FOV, STANDARD_BINS, STANDARD_VIEWS

SCHEMA = "spinemar-model/1"
_ROLES = ("prior", "generator", "metal", "fusion")
_MAX_MANIFEST_BYTES = 1 << 20
_MAX_NETWORK_BYTES = 512 << 20

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Network:
    """One ONNX file, verified.

    Parameters
    ----------
    role : str
        "prior", "generator", "metal" or "fusion".
    file : str
        Name of the file, for messages.
    data : bytes
        Its content, the very bytes that were hashed.
    sha256 : str
    inputs, outputs : mapping of str to shape
        None for a dimension that may vary.
    normalisation : mapping of str to float
    settings : mapping
        Whatever else the code that runs the network must know.
    half, full : Network or None
        The same network in 16 bits, and of that one the network in 32 bits.
    """

    role: str
    file: str
    data: bytes = field(repr=False)
    sha256: str
    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]
    normalisation: Mapping[str, float]
    settings: Mapping[str, Any]
    half: Network | None = field(default=None, repr=False)
    full: Network | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Manifest:
    """A verified model."""

    name: str
    version: str
    licence: str
    views: int
    bins: int
    gate: GateParameters
    prior: Network | None
    generator: Network | None
    metal: Network | None
    fusion: Network | None
    facts: Mapping[str, Any]

    @property
    def sha256(self) -> str:
        """SHA-256 of each network that inpaints, joined by "+" in the order prior, generator."""
        return "+".join(net.sha256 for net in (self.prior, self.generator) if net)


def load_manifest(path: Path) -> Manifest:
    """Read and verify a model.

    Parameters
    ----------
    path : Path
        The manifest, or the folder that holds manifest.json.

    Raises
    ------
    ModelError
        If anything is missing, foreign, damaged or made for another pipeline.
    """
    path, content = _fitting_content(path)
    geometry = _mapping(content, "geometry", path)
    networks = _mapping(content, "networks", path)
    loaded = {role: _load_network(role, networks, path) for role in networks}
    return Manifest(
        name=_text(content, "name", path),
        version=_text(content, "version", path),
        licence=_text(content, "licence", path),
        views=_whole(geometry, "views", path),
        bins=_whole(geometry, "bins", path),
        gate=GateParameters.from_json(_mapping(content, "gate", path, optional=True)),
        prior=loaded.get("prior"),
        generator=loaded.get("generator"),
        metal=loaded.get("metal"),
        fusion=loaded.get("fusion"),
        facts=content,
    )


def load_metal_network(path: Path) -> Network | None:
    """Read and verify the one network of a model that outlines metal; None if it has none.

    The others, which are ten times its size, are not read. Parameters and errors as of
    `load_manifest`.
    """
    path, content = _fitting_content(path)
    networks = _mapping(content, "networks", path)
    return _load_network("metal", networks, path) if "metal" in networks else None


def _fitting_content(path: Path) -> tuple[Path, Mapping[str, Any]]:
    """Return the manifest's file and content, if it is of this schema, pipeline and geometry."""
    path = path / "manifest.json" if path.is_dir() else path
    content = _read_json(path)
    if content.get("schema") != SCHEMA:
        raise _unfit(path, f"has the schema {shown(content.get('schema'))}, not {SCHEMA!r}")
    pipeline = _text(content, "pipeline_version", path)
    if pipeline != PIPELINE_VERSION:
        raise _unfit(path, f"was made for pipeline {pipeline}; this software is {PIPELINE_VERSION}")
    geometry = _mapping(content, "geometry", path)
    views, bins = (_whole(geometry, key, path) for key in ("views", "bins"))
    if (
        _whole(geometry, "bins_per_fov", path) != BINS_PER_FOV
        or bins != STANDARD_BINS
        or views != STANDARD_VIEWS
    ):
        raise _unfit(path, "was trained on sinograms of another geometry")
    networks = _mapping(content, "networks", path)
    if not set(networks) & {"prior", "generator"} or set(networks) - set(_ROLES):
        raise _unfit(
            path,
            "must describe a network called prior or generator, and no other but metal and fusion",
        )
    return path, content


def _read_json(path: Path) -> Mapping[str, Any]:
    remedy = "Give the path of a model's manifest.json, or use the method nmar."
    try:
        data = read_regular(path, f"model's manifest {path.name}", _MAX_MANIFEST_BYTES)
    except InputError as error:
        raise ModelError(error.problem, remedy) from error
    except OSError as error:
        raise ModelError(
            f"The model's manifest {path} cannot be read ({error.strerror}).", remedy
        ) from error
    try:
        content = parse_json(data.decode(), "manifest")
    except (ValueError, InputError) as error:
        raise _unfit(path, "is not valid JSON") from error
    if not isinstance(content, dict):
        raise _unfit(path, "is not a JSON object")
    return content


def _load_network(role: str, networks: Mapping[str, Any], path: Path) -> Network:
    entry = _mapping(networks, role, path)
    name, data, digest = _verified_file(entry, path)
    normalisation = _mapping(entry, "normalisation", path)
    for key, value in normalisation.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _unfit(path, f"gives no number for the normalisation {key}")
    network = Network(
        role=role,
        file=name,
        data=data,
        sha256=digest,
        inputs=_shapes(entry, "inputs", path),
        outputs=_shapes(entry, "outputs", path),
        normalisation={k: float(v) for k, v in normalisation.items()},
        settings=_mapping(entry, "settings", path, optional=True),
    )
    if "fp16" not in entry:
        return network
    name, data, digest = _verified_file(_mapping(entry, "fp16", path), path)
    half = replace(network, file=name, data=data, sha256=digest, full=network)
    return replace(network, half=half)


def _verified_file(entry: Mapping[str, Any], path: Path) -> tuple[str, bytes, str]:
    """Read the file an entry names; return its name, content and SHA-256."""
    name = _text(entry, "file", path)
    if Path(name).name != name or name in ("", ".", ".."):
        raise _unfit(path, f"names a network file outside its own folder ({name})")
    data = _read_network(path.parent / name)
    expected = _text(entry, "sha256", path).lower()
    actual = hashlib.sha256(data).hexdigest()
    if actual != expected:
        raise ModelError(
            f"The model file {name} is not the one its manifest describes (SHA-256 differs).",
            "Get the model again; a changed file is never run.",
        )
    refuse_unsafe(data, name)
    return name, data, actual


def _read_network(path: Path) -> bytes:
    try:
        return read_regular(path, f"model file {path.name}", _MAX_NETWORK_BYTES)
    except InputError as error:
        raise ModelError(error.problem, "Use the model as it was published.") from error
    except OSError as error:
        raise ModelError(
            f"The model file {path} cannot be read ({error.strerror}).",
            "Keep all files of a model in one folder, or get the model again.",
        ) from error


def _shapes(entry: Mapping[str, Any], key: str, path: Path) -> Mapping[str, Shape]:
    shapes: dict[str, Shape] = {}
    for name, shape in _mapping(entry, key, path).items():
        valid = isinstance(shape, list) and all(isinstance(n, int | str) for n in shape)
        if not valid or any(isinstance(n, int) and n < 1 for n in shape):
            raise _unfit(path, f"describes {key} {name} by {shown(shape)}, which is no shape")
        shapes[name] = tuple(n if isinstance(n, int) else None for n in shape)
    if not shapes:
        raise _unfit(path, f"describes no {key}")
    return shapes


def _mapping(
    content: Mapping[str, Any], key: str, path: Path, *, optional: bool = False
) -> Mapping[str, Any]:
    value = content.get(key, {} if optional else None)
    if not isinstance(value, dict):
        raise _unfit(path, f"has no object '{key}'")
    return value


def _text(content: Mapping[str, Any], key: str, path: Path) -> str:
    value = content.get(key)
    if not isinstance(value, str) or not value:
        raise _unfit(path, f"has no text '{key}'")
    return value


def _whole(content: Mapping[str, Any], key: str, path: Path) -> int:
    value = content.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _unfit(path, f"has no whole number '{key}'")
    return value


def _unfit(path: Path, problem: str) -> ModelError:
    return ModelError(
        f"The model's manifest {path.name} {problem}.",
        "Use a model published for this version of the software, or the method nmar.",
    )
