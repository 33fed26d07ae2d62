"""Good files of every kind that is read: what the damage starts from."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spinemar.implants.catalogue import load_catalogue
from spinemar.volume import CTVolume

if TYPE_CHECKING:
    from spinemar.spine.model import SpineModel


def small_ct() -> CTVolume:
    """Return a body with a screw in 4 slices of 24 x 20 voxels."""
    y, x = np.mgrid[:24, :20] - np.array([12.0, 10.0]).reshape(2, 1, 1)
    hu = np.where((x / 9) ** 2 + (y / 10) ** 2 < 1, 40.0, -1000.0)[None].repeat(4, axis=0)
    hu[1:3, np.hypot(x - 3, y - 2) < 2] = 3071
    noise = np.random.default_rng(0).normal(0, 8, hu.shape)
    return CTVolume(np.rint(hu + noise).astype(np.float32), np.diag([-8.0, -8.0, 3.0, 1.0]))


def _made(name: str, write: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="spinemar-fuzz-") as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


def images(suffix: str) -> list[bytes]:
    """Return the small CT as float and as whole numbers, tilted too where the format can."""
    from spinemar.io import write_volume

    ct = small_ct()
    found = [ct, ct.with_hu(ct.hu + 0.25)]
    if suffix not in (".nii", ".nii.gz"):
        tilted = np.array(ct.ijk_to_ras)
        tilted[1, 2] = 0.8
        found.append(CTVolume(ct.hu, tilted))
    return [_made(f"ct{suffix}", lambda path, v=one: write_volume(path, v)) for one in found]


def images_of_others(suffix: str) -> list[bytes]:
    """Return the small CT as other software writes it: unpacked, or with a plain header."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(small_ct().hu.astype(np.int16))
    image.SetSpacing((8.0, 8.0, 3.0))
    return [_made(f"ct{suffix}", lambda path: sitk.WriteImage(image, str(path), False))]


def dicom(compressors: tuple[str, ...] = ("", "JPEG", "JPEG2000")) -> list[bytes]:
    """Return one slice, plain and compressed."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(small_ct().hu.astype(np.int16)[2:3])
    tags = {
        "0008|0016": "1.2.840.10008.5.1.4.1.1.2", "0008|0018": "1.2.3.4", "0008|0060": "CT",
        "0020|000e": "1.2.3", "0020|000d": "1.2", "0020|0032": "0\\0\\0", "0028|0030": "8\\8",
        "0020|0037": "1\\0\\0\\0\\1\\0", "0028|1052": "-1024", "0028|1053": "1",
        "0008|0008": "ORIGINAL\\PRIMARY\\AXIAL", "0018|0050": "3",
    }  # fmt: skip
    for tag, value in tags.items():
        image.SetMetaData(tag, value)
    found = []
    for compressor in compressors:
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        if compressor:
            writer.UseCompressionOn()
            writer.SetCompressor(compressor)

        def write(path: Path, writer: Any = writer) -> None:
            writer.SetFileName(str(path))
            writer.Execute(image)

        found.append(_made("slice.dcm", write))
    return found


def dicom_encodings() -> list[bytes]:
    """Return one slice in every plain encoding, one of them shown inverted, and companions."""
    import io

    import pydicom

    from Testing.core.io.dicom_companions import ALL, write_companion
    from Testing.core.io.dicom_encodings import SYNTAXES, encoded

    found = []
    for syntax in SYNTAXES:
        data = pydicom.dcmread(io.BytesIO(dicom(("",))[0]))
        data.PhotometricInterpretation = "MONOCHROME1" if syntax == "big" else "MONOCHROME2"
        data.PatientName, data.SeriesNumber, data.InstanceNumber = "A^B", 3, 1
        data.add_new(0x00290010, "LO", "SOMEBODY")
        data.add_new(0x00291010, "OW", bytes(8))
        found.append(_made("slice.dcm", lambda p, d=data, s=syntax: encoded(d, p, s)))
    return found + [_made(w, lambda p, w=w: write_companion(p.parent, w, p.name)) for w in ALL]


def masks() -> list[bytes]:
    """Return the screw of the small CT as a mask, in NRRD as other software writes it."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray((small_ct().hu > 2500).astype(np.uint8))
    image.SetSpacing((8.0, 8.0, 3.0))
    return [_made("m.nrrd", lambda path: sitk.WriteImage(image, str(path), False))]


def _vertebra_and_screw() -> NDArray[np.uint8]:
    labels = np.zeros(small_ct().hu.shape, np.uint8)
    labels[0:2, 6:16, 6:14], labels[2:4, 6:16, 6:14] = 1, 2
    return labels


def dicom_segmentations() -> list[bytes]:
    """Return DICOM Segmentations of both: bits, fractions, label map, packed and not."""
    from Testing.core.io.segmentation_files import dicom_seg

    lps = np.diag([-1.0, -1, 1, 1]) @ small_ct().ijk_to_ras
    masks = {name: _vertebra_and_screw() == n for n, name in enumerate(("L2", "Screw"), 1)}
    kinds = (("BINARY", "1.2.840.10008.1.2.1"), ("FRACTIONAL", "RLE"),
             ("LABELMAP", "1.2.840.10008.1.2"), ("BINARY", "1.2.840.10008.1.2.1.99"))  # fmt: skip
    return [
        _made(
            "seg.dcm", lambda path, k=kind, s=syntax: dicom_seg(path, masks, lps, kind=k, syntax=s)
        )
        for kind, syntax in kinds
    ]


def slicer_segmentations() -> list[bytes]:
    """Return segmentations of both in one layer and in two."""
    from Testing.core.io.segmentation_files import seg_nrrd

    labels = _vertebra_and_screw()
    fields = [{"ID": "a", "Name": name, "LabelValue": n, "Layer": 0}
              for n, name in enumerate(("L2", "Screw"), 1)]  # fmt: skip
    layered = [{**one, "LabelValue": 1, "Layer": n} for n, one in enumerate(fields)]
    layers = np.stack([labels == 1, labels == 2]).astype(np.uint8)
    affine = small_ct().ijk_to_ras
    return [
        _made("a.seg.nrrd", lambda path: seg_nrrd(path, labels[None], affine, fields)),
        _made("a.seg.nrrd", lambda path: seg_nrrd(path, layers, affine, layered)),
    ]


def labels_with_table() -> list[bytes]:
    """Return NIfTI labels with the table of TotalSegmentator, and without one."""
    from Testing.core.io.segmentation_files import nifti_with_table

    labels, affine = _vertebra_and_screw(), small_ct().ijk_to_ras
    tables = ({1: "vertebrae_L2", 2: "screw"}, {2: "vertebrae_L1"})
    return [
        _made("a.nii", lambda path, t=table: nifti_with_table(path, labels, affine, t))
        for table in tables
    ]


def raw_data() -> list[bytes]:
    """Return raw data of one turn, parallel and helical."""
    from spinemar.tomography.geometry import SinogramGeometry
    from spinemar.tomography.raw_data.sinogram import Sinogram
    from spinemar.tomography.raw_data.sinogram_files import write_sinogram

    values = np.random.default_rng(1).random((2, 24, 32), dtype=np.float32)
    made = Sinogram(values, SinogramGeometry(24, 32, 4.0), np.array([0.0, 3.0]))
    return [_made("raw.npz", lambda path: write_sinogram(path, made))]


def plans() -> list[bytes]:
    """Return plans as they are written."""
    from spinemar.planning.plans.plan_json import plan_to_json
    from spinemar.planning.sampling.random_plan import random_plan
    from spinemar.volume import GridGeometry

    grid = GridGeometry((50, 100, 100), np.diag([2.0, 2.0, 2.0, 1.0]))
    return [plan_to_json(random_plan(grid, seed, load_catalogue())).encode() for seed in range(4)]


def catalogues() -> list[bytes]:
    """Return the shipped catalogue and the example of an own one."""
    root = Path(__file__).resolve().parents[2]
    own = root / "Resources" / "Implants" / "example_catalogue.json"
    shipped = root / "spinemar" / "implants" / "catalogue.json"
    return [own.read_bytes(), shipped.read_bytes()]


@cache
def drawn_spine() -> SpineModel:
    """Return a spine of two vertebrae drawn as boxes."""
    from Testing.core.planning.conftest import build

    return build((4.0, 4.0, 4.0), None, "L1-L2")


def frames() -> list[bytes]:
    """Return the frames of the drawn spine."""
    from spinemar.spine.serial import spine_to_json

    return [spine_to_json(drawn_spine()).encode()]


def landmarks() -> list[bytes]:
    """Return a shipped file of landmarks."""
    root = Path(__file__).resolve().parents[2]
    return [(root / "Resources" / "Landmarks" / "crlm_1006.json").read_bytes()]


def jobs() -> list[bytes]:
    """Return jobs of several kinds."""
    kinds: list[dict[str, Any]] = [
        {"kind": "correct", "input": "ct.nrrd", "output": "out.nrrd", "metal_mask": None,
         "settings": {"method": "li", "metal_threshold_hu": None, "model": None, "device": "cpu"}},
        {"kind": "scan", "input": {"npy": "a.npy", "ijk_to_ras": np.eye(4).tolist()}, "plan": "{}",
         "catalogue": None, "settings": {"kvp": 120}, "seed": 0, "slices": [0, 3],
         "output": "o.npy"},
        {"kind": "plan", "labels": {"npy": "l.npy", "ijk_to_ras": np.eye(4).tolist()},
         "frames": "f.json", "levels": ["L1"], "settings": {"rod": {}}, "plan_output": "p.json"},
        {"kind": "segment-spine", "input": "ct.nrrd", "seeds": {"L1": [0, 1, 2]},
         "labels_output": "l.npy", "frames_output": "f.json"},
        {"kind": "batch", "sources": ["a.nrrd"], "folder": "out", "settings": {"method": "li"}},
        {"kind": "voxelize", "plan": "{}", "shape": [3, 4, 5], "ijk_to_ras": np.eye(4).tolist(),
         "folder": "out"},
    ]  # fmt: skip
    return [json.dumps({"schema": "spinemar-job/1", **one}).encode() for one in kinds]


def networks() -> list[bytes]:
    """Return the shipped networks' graphs without their weights, to stay small."""
    import onnx
    from onnx import TensorProto, helper

    shape = ["B", 3, 720, 736]
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=helper.make_tensor("w", 1, [2], [1, 2]))],
        "inner", [], [helper.make_tensor_value_info("c", TensorProto.FLOAT, [2])],
    )  # fmt: skip
    nodes = [
        helper.make_node("Add", ["sinogram", "shift"], ["inpainted"]),
        helper.make_node("If", ["flag"], ["d"], then_branch=inner, else_branch=inner),
    ]
    graph = helper.make_graph(
        nodes, "tiny", [helper.make_tensor_value_info("sinogram", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("inpainted", TensorProto.FLOAT, shape)],
        [helper.make_tensor("shift", TensorProto.FLOAT, [1], [0.5])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return [model.SerializeToString(), onnx.ModelProto().SerializeToString() + b"\x08\x09"]


def manifests() -> list[bytes]:
    """Return the shipped manifest and a small one."""
    from spinemar.mar.result import PIPELINE_VERSION

    root = Path(__file__).resolve().parents[2]
    shape = ["B", 3, 720, 736]
    small = {
        "schema": "spinemar-model/1", "name": "tiny", "version": "1",
        "pipeline_version": PIPELINE_VERSION,
        "licence": "Apache-2.0", "geometry": {"views": 720, "bins": 736, "bins_per_fov": 512},
        "networks": {"generator": {
            "file": "generator.onnx", "sha256": hashlib.sha256(networks()[0]).hexdigest(),
            "inputs": {"sinogram": shape}, "outputs": {"inpainted": shape},
            "normalisation": {"scale": 4.0}, "settings": {"prefill": "nmar"}}},
    }  # fmt: skip
    return [json.dumps(small).encode(), (root / "Resources/Models/manifest.json").read_bytes()]


def surfaces(suffix: str) -> list[bytes]:
    """Return a closed tetrahedron or sphere in one format."""
    from vtkmodules.vtkFiltersSources import vtkSphereSource
    from vtkmodules.vtkIOGeometry import vtkOBJWriter, vtkSTLWriter
    from vtkmodules.vtkIOLegacy import vtkPolyDataWriter
    from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

    writers: dict[str, Any] = {".stl": vtkSTLWriter, ".obj": vtkOBJWriter,
                               ".vtk": vtkPolyDataWriter, ".vtp": vtkXMLPolyDataWriter}  # fmt: skip
    source = vtkSphereSource()
    source.SetThetaResolution(6)
    source.SetPhiResolution(5)
    source.SetRadius(9)

    def write(path: Path, binary: bool) -> None:
        writer = writers[suffix]()
        writer.SetInputConnection(source.GetOutputPort())
        writer.SetFileName(str(path))
        if suffix in (".stl", ".vtk"):
            (writer.SetFileTypeToBinary if binary else writer.SetFileTypeToASCII)()
        if suffix == ".vtp":
            (writer.SetDataModeToAppended if binary else writer.SetDataModeToAscii)()
        writer.Write()

    return [_made(f"m{suffix}", lambda path, b=b: write(path, b)) for b in (False, True)]


@cache
def foreign() -> tuple[bytes, ...]:
    """Return a small file of each family, to make files of that are two at once."""
    found = [*images(".nrrd")[:1], *images(".nii")[:1], *images(".mha")[:1], *dicom(("",)),
             *raw_data(), *networks()[:1], *surfaces(".stl")[:1], *plans()[:1]]  # fmt: skip
    return tuple(found)
