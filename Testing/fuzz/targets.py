"""What the hostile bytes are given to: every reader, as its callers use it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from spinemar.errors import InputError
from Testing.fuzz import seeds


@dataclass(frozen=True)
class Target:
    """One reader.

    Parameters
    ----------
    name : str
    file : str
        Name of the file that the bytes are written to, in a folder of its own.
    seeds : callable
        Gives good files.
    use : callable
        Reads the file. A return and an `InputError` are the only answers allowed: whoever gives
        bad input is told so (exit code 2), and anything else is a fault of ours.
    in_python : bool
        Whether the reader is Python code, whose coverage can guide the search.
    share : float
        Part of the time, relative to the others.
    """

    name: str
    file: str
    seeds: Callable[[], Sequence[bytes]]
    use: Callable[[Path], object]
    in_python: bool = False
    share: float = 1.0

    def check(self, path: Path) -> bool:
        """Read the file; whether it was accepted. What is no answer is raised."""
        told: InputError | None = None
        before = sorted(p.name for p in path.parent.iterdir())
        try:
            self.use(path)
        except InputError as refusal:
            told = refusal
        after = sorted(p.name for p in path.parent.iterdir())
        assert after == before, f"left behind: {after}"
        if told is not None:
            assert told.problem.strip(), "a refusal without a reason"
            assert len(str(told)) < 3000, "a refusal that nobody reads to its end"
        return told is None


def _volume(path: Path) -> None:
    from spinemar.io import read_volume

    read_volume(path)


def _dicom_kind(path: Path) -> None:
    """Sort one file beside others of a folder, as every reader of folders does."""
    from spinemar.io.dicom.folder import ct_series, find_dicom
    from spinemar.io.dicom.kind import look_at, resampled_type

    seen = look_at(path) if path.is_file() else None
    if seen is not None:
        resampled_type([seen.image_type])
    if not ct_series(find_dicom(path.parent)):
        raise InputError("no CT", "")


def _written_back(path: Path) -> None:
    """Read a slice and write it back: what can be read can be written."""
    import shutil

    from spinemar.io import read_volume
    from spinemar.io.dicom.export import write_derived_series

    volume = read_volume(path)
    out = path.with_name("out")
    try:
        (written,) = write_derived_series(volume, [path], out)
        assert (read_volume(written).hu == volume.hu).all()
    finally:
        shutil.rmtree(out, ignore_errors=True)


def _labels(path: Path) -> None:
    from spinemar.io import read_mask

    read_mask(path, seeds.small_ct().geometry)


def _named_labels(path: Path) -> None:
    from spinemar.io import read_labels, read_mask
    from spinemar.spine.labels.conventions import find_naming

    read_mask(path, seeds.small_ct().geometry)
    find_naming(read_labels(path))


def _raw_data(path: Path) -> None:
    from spinemar.tomography.raw_data.sinogram_files import read_sinogram

    read_sinogram(path)


def _plan(path: Path) -> None:
    from spinemar.planning.plans.plan_json import plan_from_json, plan_to_json, read_plan

    plan = read_plan(path)
    assert plan_from_json(plan_to_json(plan)) == plan


def _catalogue(path: Path) -> None:
    from spinemar.implants.catalogue import load_catalogue

    load_catalogue(path)


def _frames(path: Path) -> None:
    from spinemar.base.json_text import read_text
    from spinemar.spine.serial import spine_from_json

    spine_from_json(read_text(path, "frames"), seeds.drawn_spine().labels)


def _landmarks(path: Path) -> None:
    from spinemar.base.json_text import read_json
    from spinemar.dataset.manifest import read_inputs
    from spinemar.dataset.sampling.patients import sites_from_landmarks

    sites_from_landmarks(read_json(path, "landmarks"))
    _ = read_inputs


def _list_of_cts(path: Path) -> None:
    from spinemar.dataset.manifest import read_inputs

    read_inputs([path])


def _job(path: Path) -> None:
    from spinemar.jobs.registry import function_of
    from spinemar.jobs.worker import _read_job

    function_of(str(_read_job(str(path)).get("kind", "")))


def _network(path: Path) -> None:
    from spinemar.mar.inpainters.models.manifest import _read_network
    from spinemar.mar.inpainters.models.onnx_scan import refuse_unsafe

    refuse_unsafe(_read_network(path), path.name)


def _manifest(path: Path) -> None:
    from spinemar.mar.inpainters.models.manifest import load_manifest

    network = path.with_name("generator.onnx")
    network.write_bytes(seeds.networks()[0])
    try:
        load_manifest(path)
    finally:
        network.unlink()


def _loaded_network(path: Path) -> None:
    """Load damaged networks whose manifest fits them, as an attacker's would."""
    from spinemar.mar.inpainters.models.manifest import load_manifest
    from spinemar.mar.inpainters.models.session import NetworkSession

    content = json.loads(seeds.manifests()[0])
    entry = content["networks"]["generator"]
    known = hashlib.sha256(path.read_bytes() if path.is_file() else b"")
    entry["file"], entry["sha256"] = path.name, known.hexdigest()
    manifest = path.with_name("manifest.json")
    manifest.write_text(json.dumps(content))
    try:
        network = load_manifest(manifest).generator
        assert network is not None
        NetworkSession(network, "cpu", threads=1)
    finally:
        manifest.unlink()


def _surface(path: Path) -> None:
    """Read a surface; the process that may be lost is a fork, which starts at once."""
    from spinemar.implants.surfaces import surface_files
    from spinemar.implants.surfaces.imported import read_mesh

    surface_files._read_apart = _read_in_fork  # type: ignore[assignment]
    read_mesh(path)


def _read_in_fork(path: str, _changed_ns: int, _size: int) -> object:
    import io
    import os
    import signal
    import sys

    import numpy as np
    import vtkmodules.vtkIOGeometry
    import vtkmodules.vtkIOLegacy
    import vtkmodules.vtkIOXML  # noqa: F401 - loaded before the fork

    from spinemar.implants.surfaces import surface_files

    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.dup2(writes, 1)
        sys.stdout = os.fdopen(1, "w")
        signal.alarm(10)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        try:
            os._exit(surface_files._main(path))
        finally:
            os._exit(1)
    os.close(writes)
    with os.fdopen(reads, "rb") as stream:
        said = stream.read()
    if os.waitpid(child, 0)[1] != 0:
        raise surface_files._damaged(Path(path).name)
    stream = io.BytesIO(said)
    return tuple(np.load(stream, allow_pickle=False) for _ in range(2))


def _command(path: Path) -> None:
    """Correct the file by the command line: exit code 0 or 2, and no result with code 2."""
    import contextlib
    import io

    from spinemar.cli.main import main

    output = path.with_name("out.nrrd")
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(["correct", str(path), "-o", str(output), "--method", "li", "--json"])
    made = [p for p in path.parent.iterdir() if p != path]
    for left in made:
        left.unlink()
    assert code in (0, 2), f"exit code {code}: {said.getvalue()[-2000:]}"
    assert "Traceback" not in said.getvalue(), said.getvalue()[-2000:]
    assert len(made) == (2 if code == 0 else 0), f"code {code} and {[p.name for p in made]}"
    if code:
        raise InputError("refused", "")


TARGETS = (
    Target("nrrd", "ct.nrrd", lambda: [*seeds.images(".nrrd"), *seeds.images_of_others(".nrrd")],
           _volume, share=1.5),
    Target("nifti", "ct.nii", lambda: seeds.images(".nii"), _volume, share=1.5),
    Target("nifti-gz", "ct.nii.gz", lambda: seeds.images(".nii.gz"), _volume),
    Target("metaimage", "ct.mha",
           lambda: [*seeds.images(".mha"), *seeds.images_of_others(".mha")], _volume, share=1.5),
    Target("dicom", "slice.dcm", seeds.dicom, _volume, share=2.5),
    Target("dicom-kind", "IM0", seeds.dicom_encodings, _dicom_kind, in_python=True),
    Target("dicom-written-back", "slice.dcm", seeds.dicom_encodings, _written_back, share=1.5),
    Target("mask", "mask.nrrd", seeds.masks, _labels),
    Target("dicom-seg", "seg.dcm", seeds.dicom_segmentations, _named_labels, share=2.0),
    Target("seg-nrrd", "labels.seg.nrrd", seeds.slicer_segmentations, _named_labels),
    Target("labels-nifti", "labels.nii", seeds.labels_with_table, _named_labels),
    Target("raw-data", "raw.npz", seeds.raw_data, _raw_data),
    Target("plan", "plan.json", seeds.plans, _plan, in_python=True),
    Target("catalogue", "own.json", seeds.catalogues, _catalogue, in_python=True),
    Target("frames", "frames.json", seeds.frames, _frames, in_python=True),
    Target("landmarks", "case.json", seeds.landmarks, _landmarks, in_python=True),
    Target("list-of-cts", "cts.json", lambda: [b'{"schema": "spinemar-cts/1", "cts": '
           b'[{"ct": "cts.json", "patient": "a", "split": "test", "clean_low_mm": -5.5}]}'],
           _list_of_cts, in_python=True, share=0.5),
    Target("job", "job.json", seeds.jobs, _job, in_python=True, share=0.5),
    Target("manifest", "manifest.json", seeds.manifests, _manifest, in_python=True),
    Target("network", "net.onnx", seeds.networks, _network, in_python=True),
    Target("network-loaded", "net.onnx", seeds.networks, _loaded_network),
    *(Target(f"surface{suffix}", f"mesh{suffix}", partial(seeds.surfaces, suffix), _surface)
      for suffix in (".stl", ".obj", ".vtk", ".vtp")),
    Target("command-line", "ct.nrrd", lambda: seeds.images_of_others(".nrrd"), _command),
)  # fmt: skip


def target(name: str) -> Target:
    """Return the target of that name."""
    return next(one for one in TARGETS if one.name == name)
