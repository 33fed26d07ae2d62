"""Models at hand: the shipped one, and those a user imported on a machine without a network."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from spinemar.base.atomic_files import atomic_path
from spinemar.errors import InputError, ModelError

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Model:
    """A model that can be chosen.

    Parameters
    ----------
    folder : Path
    name, version, sha256 : str
    shipped : bool
    reference : str
        How parameters name it: empty for the default, the name of another shipped model (so that
        scenes can be moved), the folder of an imported one.
    """

    folder: Path
    name: str
    version: str
    sha256: str
    shipped: bool
    reference: str

    @property
    def label(self) -> str:
        """Name and version, as shown to the user."""
        return f"{self.name} {self.version}" + ("" if self.shipped else " (imported)")


def listModels(store: Path) -> tuple[Model, ...]:
    """List the shipped models and the imported ones; what cannot be read is left out."""
    from spinemar.mar.inpainters.methods import shipped_models

    models = []
    for number, (name, path) in enumerate(shipped_models().items()):
        models.append(_read(path, shipped=True, reference=name if number else ""))
    if store.is_dir():
        for path in sorted(store.glob(f"*/{MANIFEST}")):
            models.append(_read(path, shipped=False, reference=str(path.parent)))
    return tuple(model for model in models if model is not None)


def importModel(manifest: Path, store: Path) -> Model:
    """Check a model and copy it into the store.

    Parameters
    ----------
    manifest : Path
        A manifest.json with its files beside it.
    store : Path
        Folder for imported models.

    Raises
    ------
    ModelError
        If it is damaged, foreign or made for another version of the software.
    """
    from spinemar.mar.inpainters.models.manifest import load_manifest

    loaded = load_manifest(manifest)
    source = manifest if manifest.is_file() else manifest / MANIFEST
    name = re.sub(r"[^\w.-]+", "_", f"{loaded.name}-{loaded.version}").strip("._") or "model"
    try:
        store.mkdir(parents=True, exist_ok=True)
        with atomic_path(store / name) as temporary:
            temporary.mkdir()
            for network in (loaded.prior, loaded.generator):
                if network is not None:
                    (temporary / network.file).write_bytes(network.data)
            shutil.copyfile(source, temporary / MANIFEST)
    except OSError as error:
        raise InputError(
            f"The model could not be copied to {store} ({error.strerror or error}).",
            "Check disk space and permissions.",
        ) from error
    model = _read(store / name / MANIFEST, shipped=False, reference=str(store / name))
    if model is None:
        raise ModelError("The model could not be read back.", "Import it again.")
    return model


def _read(manifest: Path, *, shipped: bool, reference: str) -> Model | None:
    """Read what the list shows; the full check comes when the model is used."""
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        networks = content["networks"]
        hashes = [networks[r]["sha256"] for r in ("prior", "generator") if r in networks]
        name, version = str(content["name"]), str(content["version"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return Model(manifest.parent, name, version, "+".join(hashes), shipped, reference)
