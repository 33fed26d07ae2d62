"""Which pictures a report shows, and how they are arranged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemar.evaluation.regions import filled_body
from spinemar.mar.correction.uncertainty import DO_NOT_READ_HU, SHOWN_FROM_HU
from spinemar.report.content import ReportContent, ReportedCorrection, Sinogram
from spinemar.report.display import (
    BONE,
    DIFFERENCE,
    SOFT_TISSUE,
    Box,
    Plane,
    View,
    Window,
    anatomy_uri,
    box_around,
    png_uri,
    reddened,
    shown,
)
from spinemar.volume import CTVolume

_BODY_MARGIN_MM = 5.0
_SPINE_MARGIN_MM = 35.0
_SLICES = 3
_TRACE_COLOUR = np.array([255, 140, 0])


@dataclass(frozen=True)
class Picture:
    """One picture with its caption; without an address the caption stands alone."""

    uri: str
    caption: str


@dataclass(frozen=True)
class Row:
    """Pictures to compare side by side, all in one window."""

    heading: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Group:
    """All rows about one slice."""

    heading: str
    rows: tuple[Row, ...]


def slice_groups(content: ReportContent) -> list[Group]:
    """Axial slices: bone window close up, soft tissue and difference of the whole body."""
    view = View(content.before.geometry, "axial")
    metal = np.moveaxis(content.metal, view.stack_axis, 0)
    return [_axial_group(content, view, k) for k in telling_slices(metal)]


def telling_slices(metal: NDArray[np.bool_], count: int = _SLICES) -> list[int]:
    """Slices with the most metal, spread over the implants.

    The stack of slices with metal is cut into `count` parts; of each the slice with the most.

    `metal` has the shape (k, j, i).
    """
    area = metal.sum(axis=(1, 2))
    with_metal = np.flatnonzero(area)
    if with_metal.size == 0:
        return [metal.shape[0] // 2]
    parts = np.array_split(with_metal, min(count, with_metal.size))
    return [int(part[np.argmax(area[part])]) for part in parts]


def _volumes(content: ReportContent, k: int | None = None) -> list[tuple[str, CTVolume]]:
    """All volumes with their captions; for axial slice k with how much of it was corrected."""
    named = [("Before", content.before)]
    named += [(one.name + _applied(one, k), one.result.volume) for one in content.corrected]
    if content.truth is not None:
        named.append(("Truth (no metal)", content.truth))
    return named


def _applied(one: ReportedCorrection, k: int | None) -> str:
    """Say where the do-no-harm gate held a correction back."""
    strengths = {s.index: s.strength if s.corrected else 0.0 for s in one.result.slices}
    strength = strengths.get(-1 if k is None else k, 1.0)
    if strength == 0.0:
        return " (slice left alone)"
    return "" if strength > 0.995 else f" ({strength:.0%} of the change applied)"


def _axial_group(content: ReportContent, view: View, k: int) -> Group:
    before = view.cut(content.before.hu, k)
    body = _box(filled_body(before), _BODY_MARGIN_MM, view)
    spine = _box(view.cut(content.metal, k), _SPINE_MARGIN_MM, view)
    named = _volumes(content, k)
    rows = [
        _row(BONE, "bone window, close up", named, view=view, k=k, box=spine),
        _row(SOFT_TISSUE, "soft-tissue window", named, view=view, k=k, box=body),
        _differences(content, view, k, body),
    ]
    unsure = _uncertainty_row(content, view, k, spine)
    if unsure is not None:
        rows.append(unsure)
    earlier = _earlier_row(content, view, k, spine)
    if earlier is not None:
        rows.insert(0, earlier)
    heading = f"Slice {k + 1} of {content.before.hu.shape[view.stack_axis]}"
    return Group(heading + _metal_width(content, k), tuple(rows))


def _metal_width(content: ReportContent, k: int) -> str:
    slices = {s.index: s for s in content.corrected[-1].result.slices}
    return f": metal {slices[k].metal_width_mm:.1f} mm wide" if k in slices else ""


def _earlier_row(content: ReportContent, view: View, k: int, box: Box) -> Row | None:
    """Earlier CT as it lies in the scan, scan, result, and how far it was believed."""
    final = content.corrected[-1]
    use = final.result.earlier
    if use is None:
        return None
    registered = view.cut(use.registered_hu, k)[box].astype(np.float32)
    believed = view.cut(use.agreement_percent, k)[box]
    pictures = [
        ("Earlier CT, registered", BONE.apply(registered)),
        ("Before", BONE.apply(view.cut(content.before.hu, k)[box])),
        (final.name, BONE.apply(view.cut(final.result.volume.hu, k)[box])),
        ("Agreement: white believed, black not used", (2.55 * believed).astype(np.uint8)),
    ]
    row = tuple(Picture(anatomy_uri(grey, view), name) for name, grey in pictures)
    return Row("The patient's earlier CT, bone window", row)


def _uncertainty_row(content: ReportContent, view: View, k: int, box: Box) -> Row | None:
    """Show where the result's values may be far off; None where nothing was changed."""
    final = content.corrected[-1]
    unsure = final.result.uncertainty_hu
    if unsure is None or not view.cut(unsure, k).any():
        return None
    grey = BONE.apply(view.cut(final.result.volume.hu, k)[box])
    share = (view.cut(unsure, k)[box] - SHOWN_FROM_HU) / (DO_NOT_READ_HU - SHOWN_FROM_HU)
    pictures = (
        Picture(anatomy_uri(grey, view), final.name),
        Picture(
            anatomy_uri(reddened(grey, share), view),
            f"Red from {SHOWN_FROM_HU} HU, full from {DO_NOT_READ_HU} HU",
        ),
    )
    return Row("How far values may be off: not to be read where it is red", pictures)


def _box(mask: NDArray[np.bool_], margin_mm: float, view: View) -> Box:
    margin = [round(margin_mm / pixel) for pixel in view.pixel_mm]
    return box_around(mask, (margin[0], margin[1]))


def _row(
    window: Window,
    what: str,
    named: Sequence[tuple[str, CTVolume]],
    *,
    view: View,
    k: int,
    box: Box,
) -> Row:
    pictures = [
        Picture(anatomy_uri(window.apply(view.cut(v.hu, k)[box]), view), name) for name, v in named
    ]
    span = f"{window.level - window.width / 2:.0f} to {window.level + window.width / 2:.0f} HU"
    return Row(f"{what[0].upper()}{what[1:]} ({span})", tuple(pictures))


def _differences(content: ReportContent, view: View, k: int, box: Box) -> Row:
    """Errors against the truth; without one, what the correction changed."""
    truth = content.truth
    reference = content.before if truth is None else truth
    # Inside the outline nothing is known; the glow beside it is an error like any other.
    metal = view.cut(content.corrected[-1].result.metal_outline, k)[box]
    pictures = []
    for name, volume in _volumes(content, k):
        if volume is reference:
            continue
        change = view.cut(volume.hu, k)[box] - view.cut(reference.hu, k)[box]
        if not change.any():  # a plain grey would say less
            pictures.append(Picture("", f"{name}: nothing changed"))
            continue
        grey = DIFFERENCE.apply(np.where(metal, np.float32(0), change))
        caption = f"{name} − before" if truth is None else f"{name} − truth"
        pictures.append(Picture(anatomy_uri(grey, view), caption))
    heading = (
        "What the correction changed" if truth is None else "Error: what differs from the truth"
    )
    span = f"{DIFFERENCE.width / 2:.0f}"
    scale = f"black −{span} HU, white +{span} HU, metal left out"
    return Row(f"{heading} ({scale})", tuple(pictures))


def reformats(content: ReportContent) -> Group:
    """Coronal and sagittal pictures through the middle of the metal, bone window."""
    where = np.argwhere(content.metal)
    rows = []
    planes: tuple[Plane, ...] = ("sagittal", "coronal")
    for plane in planes:
        view = View(content.before.geometry, plane)
        columns = np.bincount(where[:, view.stack_axis]) if len(where) else np.zeros(1)
        size = content.before.hu.shape[view.stack_axis]
        n = int(np.argmax(columns)) if columns.any() else size // 2
        shadow = view.cut(np.asarray(content.metal.any(axis=view.stack_axis, keepdims=True)), 0)
        box = _box(shadow, _SPINE_MARGIN_MM, view)
        rows.append(_row(BONE, f"{plane}, bone window", _volumes(content), view=view, k=n, box=box))
    return Group("Through the implants", tuple(rows))


def sinogram_row(content: ReportContent) -> Row | None:
    """Show the rays of one slice: before, with the trace marked, and as each method fills it."""
    one = content.sinogram
    if one is None:
        return None
    window = _ray_window(one)
    grey = window.apply(one.rays)
    marked = np.repeat(grey[..., None], 3, axis=-1).astype(np.float32)
    marked[one.trace] = 0.45 * marked[one.trace] + 0.55 * _TRACE_COLOUR
    square = (1.0, one.rays.shape[0] / one.rays.shape[1])
    pictures = [
        Picture(png_uri(shown(grey, square)[0]), "Before"),
        Picture(png_uri(shown(marked.astype(np.uint8), square)[0]), "Before, metal trace marked"),
    ]
    pictures += [
        Picture(png_uri(shown(window.apply(c.filled), square)[0]), f"Inpainted: {c.name}")
        for c in content.corrected
        if c.filled is not None
    ]
    heading = f"Sinogram of slice {one.index + 1}: each row one view over 180°, each column one ray"
    return Row(heading, tuple(pictures))


def _ray_window(one: Sinogram) -> Window:
    high = float(np.quantile(one.rays, 0.9995))
    return Window("Rays", high, high / 2)
