"""DICOM Segmentations: frames of segments, each at the place that it names itself.

A file holds only the slices in which something is marked, segment by segment, in any order; so
every frame is put where its own position says, and what is between is empty.

References
----------
DICOM PS3.3, A.51 Segmentation IOD and C.8.20.2 Segmentation Image Module; C.7.6.16.2 macros of
the functional groups (pixel measures, plane position, plane orientation).
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.errors import GeometryError, InputError, SpinemarError
from spinemar.io.affine import LPS_RAS, check_affine
from spinemar.io.dicom.element_lengths import scan_dicom
from spinemar.io.dicom.pydicom_versions import frame_of
from spinemar.io.formats import check_size
from spinemar.io.segmentations.segments import Segment, StoredSegments
from spinemar.io.segmentations.vertebra_names import telling_name

_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
_LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
_MAX_INFLATED = 256 << 20
# DICOM numbers segments up to 65535; labels are int16.
_MAX_NUMBER = 2**15 - 1
# As for a series of slices: positions are rounded to 0.1 mm.
_ROUNDING_MM, _ROUNDING_SHARE = 0.12, 0.05
_SAME_DIRECTION = 1e-3
_AGAIN = "Save it again as .seg.nrrd or NIfTI, for example with 3D Slicer."


@dataclass(frozen=True)
class _Frame:
    """One frame: its number in the file, its segment (0 in a label map) and its place, LPS mm."""

    number: int
    segment: int
    position: NDArray[np.float64]


@dataclass(frozen=True)
class _Stack:
    """The grid that the frames lie on: which slice each is, and the step to the next, LPS mm."""

    affine_lps: NDArray[np.float64]
    slices: NDArray[np.int64]
    count: int
    slab_mm: float


def read_dicom_segmentation(path: Path) -> StoredSegments:
    """Read a DICOM Segmentation (binary, fractional or label map).

    Parameters
    ----------
    path : Path
        One file. Fractions count from half of the full value on.

    Raises
    ------
    InputError
        If it is another kind of DICOM file, damaged, packed in an unknown way, or of no volume.
    GeometryError
        If its frames do not say where they lie, or lie on no regular grid.
    """
    scan = scan_dicom(path)
    if scan is not None and scan.problem is not None:
        raise scan.problem
    with warnings.catch_warnings():
        # What pydicom finds odd is either read right all the same, or refused here.
        warnings.simplefilter("ignore")
        return _read(path)


def _read(path: Path) -> StoredSegments:
    data = _dataset(path)
    try:
        _check_kind(data, path)
        frames = _frames(data, path)
        segments = _segment_names(data)
        stack = _stack(data, frames, path)
    except SpinemarError:
        raise
    except Exception as error:  # pydicom reads a value when it is asked for, and raises anything
        raise GeometryError(
            f"{path.name} does not say where its frames lie, or of which segment they are.", _AGAIN
        ) from error
    layers, placed = _painted(data, frames, stack, segments, path)
    return StoredSegments(layers, LPS_RAS @ stack.affine_lps, placed, stack.slab_mm)


def _dataset(path: Path) -> Any:
    import pydicom

    try:
        meta = pydicom.filereader.read_file_meta_info(path)
        if str(meta.get("TransferSyntaxUID", "")) == "1.2.840.10008.1.2.1.99":
            _refuse_bomb(path)
        return pydicom.dcmread(path)
    except SpinemarError:
        raise
    except Exception as error:  # pydicom has no family of errors for damaged files
        raise _damaged(path) from error


def _refuse_bomb(path: Path) -> None:
    """Refuse a deflated file that unpacks to more than any segmentation holds."""
    raw = path.read_bytes()
    start = raw.find(b"\x02\x00\x00\x00UL\x04\x00", 128)
    length = int.from_bytes(raw[start + 8 : start + 12], "little")
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    unpacker.decompress(raw[start + 12 + length :], _MAX_INFLATED)
    if unpacker.unconsumed_tail:
        raise _damaged(path)


def _damaged(path: Path) -> InputError:
    return InputError(
        f"{path.name} cannot be read: it is truncated, damaged or not the format that its name "
        "says (no whole DICOM file).",
        "Copy or export the file again.",
    )


def _check_kind(data: Any, path: Path) -> None:
    from pydicom.uid import UID

    kind = str(data.get("SOPClassUID", ""))
    if kind not in (_SEGMENTATION, _LABEL_MAP):
        name = UID(kind).name if kind else "no image"
        raise InputError(
            f"{path.name} is no segmentation that can be read here (it is: {name}).",
            "Give a DICOM Segmentation (SEG), .seg.nrrd, NRRD, NIfTI or MetaImage file of labels.",
        )
    if "TotalPixelMatrixColumns" in data or "Rows" not in data or "Columns" not in data:
        raise InputError(
            f"{path.name} is a segmentation of a microscope's picture, not of a volume.",
            "Give the segmentation of the CT.",
        )


def _group(data: Any, frame: Any, name: str) -> Any:
    """Return an item of the functional groups: the frame's own, else the one that all share."""
    if name in frame:
        return frame[name].value[0]
    return data.SharedFunctionalGroupsSequence[0][name].value[0]


def _frames(data: Any, path: Path) -> list[_Frame]:
    groups = data.PerFrameFunctionalGroupsSequence
    count = int(data.get("NumberOfFrames", 1))
    if len(groups) != count or count < 1:
        raise _damaged(path)
    frames = []
    for number, group in enumerate(groups):
        segment = 0
        if _is_binary_or_fractional(data):
            said = _group(data, group, "SegmentIdentificationSequence")
            segment = int(said.ReferencedSegmentNumber)
        position = np.array(
            _group(data, group, "PlanePositionSequence").ImagePositionPatient, dtype=np.float64
        )
        frames.append(_Frame(number, segment, position.reshape(3)))
    return frames


def _is_binary_or_fractional(data: Any) -> bool:
    return str(data.get("SegmentationType", "")) in ("BINARY", "FRACTIONAL")


def _segment_names(data: Any) -> dict[int, str]:
    """Return what each segment is called: by its user, else by its codes."""
    names: dict[int, str] = {}
    for item in data.SegmentSequence:
        said = [str(item.get("SegmentLabel", "")), str(item.get("SegmentDescription", ""))]
        for sequence in ("SegmentedPropertyTypeCodeSequence", "AnatomicRegionSequence"):
            for code in item.get(sequence, None) or ():
                number = str(code.get("CodeValue", ""))
                known = number if str(code.get("CodingSchemeDesignator", "")) == "SCT" else ""
                said.append(f"{known} {code.get('CodeMeaning', '')}")
        names[int(item.SegmentNumber)] = telling_name(said)
    return names


def _stack(data: Any, frames: list[_Frame], path: Path) -> _Stack:
    groups = data.PerFrameFunctionalGroupsSequence
    directions = np.array(
        [_group(data, g, "PlaneOrientationSequence").ImageOrientationPatient for g in groups],
        dtype=np.float64,
    )
    measures = [_group(data, g, "PixelMeasuresSequence") for g in groups]
    spacings = np.array([m.PixelSpacing for m in measures], dtype=np.float64)
    if (
        np.abs(directions - directions[0]).max() > _SAME_DIRECTION
        or np.abs(spacings - spacings[0]).max() > _SAME_DIRECTION
    ):
        raise GeometryError(
            f"The frames of {path.name} lie in different directions or have different pixels.",
            _AGAIN,
        )
    row, column = directions[0][:3], directions[0][3:]
    normal = np.cross(row, column)
    positions = np.array([frame.position for frame in frames])
    between = abs(float(measures[0].get("SpacingBetweenSlices", None) or 0.0))
    thickness = abs(float(measures[0].get("SliceThickness", None) or 0.0))
    depth = positions @ normal
    step_mm, slab_mm = _step(depth - depth.min(), between, thickness, path)
    slices = np.rint((depth - depth.min()) / step_mm).astype(np.int64)
    first, last = positions[int(depth.argmin())], positions[int(depth.argmax())]
    count = int(slices.max()) + 1
    step = (last - first) / (count - 1) if count > 1 else normal * step_mm
    off = np.abs(positions - (first + slices[:, None] * step)).max()
    if off > max(_ROUNDING_MM, _ROUNDING_SHARE * step_mm) * 2:
        raise GeometryError(f"The frames of {path.name} do not lie above each other.", _AGAIN)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * spacings[0][1], column * spacings[0][0]
    affine[:3, 2], affine[:3, 3] = step, first
    check_affine(LPS_RAS @ affine, path.name)
    check_size((int(data.Columns), int(data.Rows), count), path.name)
    return _Stack(affine, slices, count, slab_mm)


def _step(
    depth: NDArray[np.float64], between: float, thickness: float, path: Path
) -> tuple[float, float]:
    """Return the distance of slices on which all frames lie, and how thick a slice is, mm.

    Without SpacingBetweenSlices the smallest gap is the step. Empty slices are left out of the
    file, so a frame may still be thinner than that.
    """
    gaps = np.diff(np.unique(np.round(depth, 3)))
    gaps = gaps[gaps > _ROUNDING_MM / 4]
    smallest = float(gaps.min()) if gaps.size else 0.0
    for step in (between, smallest, thickness):
        if step <= 0 or not np.isfinite(step):
            continue
        places = depth / step
        off = np.abs(places - np.rint(places)).max() * step
        if off <= max(_ROUNDING_MM, _ROUNDING_SHARE * step):
            return step, between or (min(thickness, step) if thickness > 0 else step)
    if gaps.size or not np.isfinite(depth).all():
        raise GeometryError(f"The frames of {path.name} are not evenly spaced.", _AGAIN)
    return 1.0, 1.0


def _painted(
    data: Any, frames: list[_Frame], stack: _Stack, names: dict[int, str], path: Path
) -> tuple[NDArray[np.int16], tuple[Segment, ...]]:
    """Put every frame into its slice, each segment into the first layer where it has room."""
    shape = (stack.count, int(data.Rows), int(data.Columns))
    layers: list[NDArray[np.int16]] = [np.zeros(shape, np.int16)]
    layer_of: dict[int, int] = {}
    by_segment: dict[int, list[_Frame]] = {}
    for frame in frames:
        by_segment.setdefault(frame.segment, []).append(frame)
    picture = _Pictures(data, path)
    for segment, own in sorted(by_segment.items()):
        _check_number(segment, path)
        if segment == 0 and not _is_binary_or_fractional(data):
            for frame in own:
                layers[0][stack.slices[frame.number]] = picture.numbers(frame.number)
            continue
        marks = [(stack.slices[f.number], picture.marked(f.number)) for f in own]
        layer = next((n for n, there in enumerate(layers) if not _meets(there, marks)), len(layers))
        if layer == len(layers):
            check_size((*shape[::-1], layer + 1), path.name)
            layers.append(np.zeros(shape, np.int16))
        layer_of[segment] = layer
        for k, mask in marks:
            layers[layer][k][mask] = segment
    found = tuple(
        Segment(layer_of.get(number, 0), number, name)
        for number, name in sorted(names.items())
        if 0 < number <= _MAX_NUMBER
    )
    return np.stack(layers), found


def _check_number(number: int, path: Path) -> None:
    if number > _MAX_NUMBER:
        raise InputError(
            f"{path.name} numbers a segment {number}; up to {_MAX_NUMBER} are read.",
            "Number its segments from 1 on.",
        )


def _meets(layer: NDArray[np.int16], marks: Iterable[tuple[Any, NDArray[np.bool_]]]) -> bool:
    return any(bool((layer[k][mask] != 0).any()) for k, mask in marks)


class _Pictures:
    """The frames' pixels, unpacked one by one."""

    def __init__(self, data: Any, path: Path) -> None:
        self._data = data
        self._path = path
        self._fraction = str(data.get("SegmentationType", "")) == "FRACTIONAL"
        self._full = int(data.get("MaximumFractionalValue", 255) or 255)
        padding = data.get("PixelPaddingValue", None)
        self._background = 0 if padding is None else int(padding)

    def marked(self, number: int) -> NDArray[np.bool_]:
        """Return where frame `number` marks its segment."""
        picture = self._picture(number)
        return np.asarray(picture * 2 >= self._full if self._fraction else picture != 0)

    def numbers(self, number: int) -> NDArray[np.int16]:
        """Return the segments' numbers in frame `number` of a label map, 0 for the background."""
        picture = self._picture(number)
        marked = np.where(picture == self._background, 0, picture)
        _check_number(int(marked.max()), self._path)
        return marked.astype(np.int16)

    def _picture(self, number: int) -> NDArray[np.int64]:
        try:
            found = frame_of(self._data, number)
        except (
            AttributeError,
            IndexError,
            KeyError,
            NotImplementedError,
            OSError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:
            raise InputError(
                f"{self._path.name} cannot be read: its pixels are incomplete or packed in a way "
                "that is unknown here.",
                _AGAIN,
            ) from error
        wanted = (int(self._data.Rows), int(self._data.Columns))
        if found.shape != wanted:
            raise _damaged(self._path)
        return np.asarray(found, dtype=np.int64)
