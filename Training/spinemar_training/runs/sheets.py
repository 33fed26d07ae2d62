"""Contact sheets and blind sheets: what the eye says beside what the numbers say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.report.display import BONE, SOFT_TISSUE, Window
from spinemar_training.correction.refinement import Refinement, refine
from spinemar_training.data.out_of_domain import OutOfDomainCase, load_cases
from spinemar_training.data.prefill import FrozenPrior, from_case, slab_of
from spinemar_training.data.prefilled import PrefilledSlice, collate, trace_window
from spinemar_training.networks.generator import SinogramGenerator

SIDE_MM, SIDE_PX = 110.0, 240
RAYS = (100, 120)
"""Views and bins of the piece of sinogram that is shown."""
_CAPTION_PX = 18
_QUALITY = 85


@dataclass(frozen=True)
class SheetCase:
    """One foreign case with what the classical methods make of it.

    `steps` are -1 for rows or columns that have to be turned round to be seen as usual.
    """

    slice: PrefilledSlice
    li_hu: NDArray[np.float32]
    nmar_hu: NDArray[np.float32]
    li: NDArray[np.float32]
    nmar: NDArray[np.float32]
    steps: tuple[int, int] = (1, 1)

    def cut(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cut the square about the metal out of an image, anterior up, the right on the left."""
        return image[_box(self.slice)][:: self.steps[0], :: self.steps[1]]


def _sheet_case(case: OutOfDomainCase, prior: FrozenPrior) -> SheetCase | None:
    """Prepare a case; None where it shows no metal."""
    slab = slab_of(case)
    if slab is None:
        return None
    one = from_case(case, slab, prior)
    step = slab.sinogram.shape[1] // one.filled.shape[1]
    li, nmar = slab.li_sinogram[1, ::step], slab.nmar_sinogram[1, ::step]
    affine = case.scan.ijk_to_ras
    steps = (-1 if affine[1, 1] > 0 else 1, -1 if affine[0, 0] > 0 else 1)
    return SheetCase(one, slab.li_hu[1], slab.nmar_hu[1], li, nmar, steps)


def telling_cases(folder: Path, prior: FrozenPrior) -> list[SheetCase]:
    """Of each metal the case whose input has the median error."""
    cases: dict[str, list[tuple[float, OutOfDomainCase]]] = {}
    for case in load_cases(folder):
        error = float(np.sqrt(np.mean((case.scan.hu[1] - case.truth.hu[1]) ** 2)))
        cases.setdefault(case.facts["metal"], []).append((error, case))
    chosen = []
    for found in cases.values():
        ordered = [case for _, case in sorted(found, key=lambda pair: pair[0])]
        made = _sheet_case(ordered[len(ordered) // 2], prior)
        if made is not None:
            chosen.append(made)
    return chosen


def contact_sheet(
    case: SheetCase,
    generators: Mapping[str, SinogramGenerator],
    refinement: Refinement,
    path: Path,
) -> None:
    """Write input, LI, NMAR, each generator and truth: bone, soft tissue, a piece of sinogram."""
    one = case.slice
    images = {"input": one.input_hu, "LI": case.li_hu, "NMAR": case.nmar_hu}
    rays = {"input": one.measured[1], "LI": case.li, "NMAR": case.nmar}
    for name, generator in generators.items():
        images[name], rays[name] = refined(one, generator, refinement)
    images["truth"], rays["truth"] = one.truth_hu, one.target
    rows = [
        [(name, _picture(case.cut(image), window)) for name, image in images.items()]
        for window in (BONE, SOFT_TISSUE)
    ]
    rows.append(_ray_pictures(one, rays))
    _save(_grid(rows), path)


def blind_sheet(
    cases: Sequence[SheetCase],
    pair: Mapping[str, SinogramGenerator],
    refinement: Refinement,
    folder: Path,
    seed: int,
) -> None:
    """Write `blind.jpg`, two results a row in random order, and `blind-key.json`."""
    rng = np.random.default_rng(seed)
    rows, key = [], {}
    names = list(pair)
    for number, case in enumerate(cases, 1):
        order = [names[n] for n in rng.permutation(len(names))]
        key[str(number)] = {"case": case.slice.facts["case"], **dict(zip("AB", order, strict=True))}
        row = []
        for letter, name in zip("AB", order, strict=True):
            image, _ = refined(case.slice, pair[name], refinement)
            cut = case.cut(image)
            for window in (BONE, SOFT_TISSUE):
                row.append((f"{number} {letter}, {window.name.lower()}", _picture(cut, window)))
        rows.append(row)
    folder.mkdir(parents=True, exist_ok=True)
    _save(_grid(rows), folder / "blind.jpg")
    (folder / "blind-key.json").write_text(json.dumps(key, indent=1) + "\n", encoding="utf-8")


def refined(
    one: PrefilledSlice, generator: SinogramGenerator, refinement: Refinement
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Image and sinogram of the middle slice as a generator leaves them, no gate."""
    import torch

    batch = collate([one])
    with torch.no_grad():
        inpainted = refine(generator.eval(), batch)
        image = refinement.image(batch, inpainted)[0].numpy()
    rays = one.filled[1].copy()
    rays[:, trace_window(one.trace, 32, 32)] = inpainted[0].numpy()
    return image, rays


def _box(one: PrefilledSlice) -> tuple[slice, slice]:
    """Rows and columns of the square about the metal."""
    half = round(SIDE_MM / one.pixel_mm / 2)
    parts = []
    for axis in (0, 1):
        used = np.flatnonzero(one.metal.any(axis=1 - axis))
        size = one.metal.shape[axis]
        middle = int(np.clip((used[0] + used[-1]) // 2, half, max(half, size - half)))
        parts.append(slice(max(0, middle - half), middle + half))
    return parts[0], parts[1]


def _picture(image: NDArray[np.float32], window: Window) -> Any:
    from PIL import Image

    grey = Image.fromarray(window.apply(np.asarray(image, np.float32)))
    return grey.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)


def _ray_pictures(
    one: PrefilledSlice, rays: Mapping[str, NDArray[np.float32]]
) -> list[tuple[str, Any]]:
    """Cut the same piece about the trace out of each sinogram, in the grey levels of the truth."""
    from PIL import Image

    views, bins = RAYS
    trace = one.trace[1, :views]
    used = np.flatnonzero(trace.any(0))
    middle = int(used[len(used) // 2]) if used.size else trace.shape[-1] // 2
    start = int(np.clip(middle - bins // 2, 0, trace.shape[-1] - bins))
    window = (slice(0, views), slice(start, start + bins))
    low, high = np.percentile(one.target[window], [1, 99])
    pictures = []
    for name, sinogram in rays.items():
        grey = np.clip((sinogram[window] - low) / max(high - low, 1e-3), 0, 1) * 255
        small = Image.fromarray(grey.astype(np.uint8))
        pictures.append(
            (f"{name}, rays", small.resize((SIDE_PX, SIDE_PX), Image.Resampling.NEAREST))
        )
    return pictures


def _grid(rows: Sequence[Sequence[tuple[str, Any]]]) -> Any:
    from PIL import Image, ImageDraw

    height = SIDE_PX + _CAPTION_PX
    sheet = Image.new("L", (max(map(len, rows)) * (SIDE_PX + 4), len(rows) * height), 0)
    draw = ImageDraw.Draw(sheet)
    for r, row in enumerate(rows):
        for c, (caption, picture) in enumerate(row):
            left, top = c * (SIDE_PX + 4), r * height
            draw.text((left + 3, top + 3), caption, fill=255)
            sheet.paste(picture, (left, top + _CAPTION_PX))
    return sheet


def _save(sheet: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=_QUALITY)
