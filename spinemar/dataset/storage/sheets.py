"""Contact sheets: pairs to look at, a row each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.base.atomic_files import atomic_path
from spinemar.dataset.storage.layout import records, zarr_package
from spinemar.dataset.storage.reader import PairStore
from spinemar.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

Byte = NDArray[np.uint8]

_FIELDS = (
    "input", "truth", "nmar", "sinogram", "target", "metal_trace", "lost_ray_trace", "metal",
    "saturated",
)  # fmt: skip
_TILE, _GAP, _CAPTION = 256, 4, 34
_ROWS = 6
_BONE = (-700.0, 1300.0)
_HEADINGS = (
    "input", "neighbours' metal", "truth + metal", "NMAR", "sinogram x", "traces", "target y",
    "x - y",
)  # fmt: skip
_RED, _ORANGE, _BLUE = (255, 60, 60), (255, 160, 0), (90, 170, 255)


def draw_sheets(store: Path, output: Path, count: int = 24) -> list[Path]:
    """Draw pairs spread evenly over the store.

    Parameters
    ----------
    store : Path
    output : Path
        Folder for sheet-01.png and so on; made if it does not exist.
    count : int
        Pairs to draw, six a sheet.

    Returns
    -------
    list of Path

    Raises
    ------
    InputError
        If the store holds no complete block yet, or fields that are drawn were left out of it.
    """
    zarr_package()  # before anything is made
    pairs = PairStore(store, _FIELDS)
    if len(pairs) == 0:
        raise InputError(f"{store.name} holds no complete block yet.", "Make pairs first.")
    chosen = np.unique(np.linspace(0, len(pairs) - 1, min(count, len(pairs))).astype(int))
    captions = _captions(store, {int(pairs.rows[n]["index"]) for n in chosen})
    output.mkdir(parents=True, exist_ok=True)
    written = []
    for number, start in enumerate(range(0, len(chosen), _ROWS), start=1):
        shown = [pairs[int(n)] for n in chosen[start : start + _ROWS]]
        sheet = _sheet(shown, [captions[pair["index"]] for pair in shown])
        written.append(output / f"sheet-{number:02d}.png")
        with atomic_path(written[-1]) as temporary:
            sheet.save(temporary)
    return written


def tiles(pair: dict[str, Any]) -> list[Byte]:
    """Return the pictures of a pair's middle slice, each (256, 256, 3)."""
    k = len(pair["input"]) // 2
    images = {name: _grey(pair[name][k], *_BONE) for name in ("input", "truth", "nmar")}
    low, high = 0.0, float(np.percentile(pair["target"][k], 99.9)) * 1.1 + 1e-3
    x, y = pair["sinogram"][k], pair["target"][k]
    sinograms = [_grey(each, low, high) for each in (x, y)]
    difference = _grey(x - y, -0.5, 0.5)
    lost_only = pair["lost_ray_trace"][k] & ~pair["metal_trace"][k]
    traces = _painted(_painted(sinograms[0], pair["metal_trace"][k], _RED), lost_only, _ORANGE)
    neighbours = pair["metal"][0] | pair["metal"][-1]
    marked = _painted(images["truth"], _outline(pair["metal"][k]), _RED)
    around = _painted(images["input"], _outline(neighbours), _BLUE)
    around = _painted(around, pair["saturated"][k], _ORANGE)
    shown = [
        images["input"], around, marked, images["nmar"], sinograms[0], traces, sinograms[1],
        difference,
    ]  # fmt: skip
    return [_resized(each) for each in shown]


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    around: NDArray[np.bool_] = ndimage.binary_dilation(mask, iterations=2) & ~mask
    return around


def _grey(values: NDArray[Any], low: float, high: float) -> Byte:
    scaled = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.repeat((255 * scaled).astype(np.uint8)[..., None], 3, axis=-1)


def _painted(picture: Byte, mask: NDArray[np.bool_], colour: tuple[int, int, int]) -> Byte:
    painted = picture.copy()
    painted[mask] = colour
    return painted


def _resized(picture: Byte) -> Byte:
    from PIL import Image

    small = Image.fromarray(picture).resize((_TILE, _TILE), Image.Resampling.BOX)
    return np.asarray(small)


def _sheet(shown: Sequence[dict[str, Any]], captions: Sequence[str]) -> Image:
    from PIL import Image, ImageDraw, ImageFont

    step = _TILE + _GAP
    height = _CAPTION + len(shown) * (step + _CAPTION)
    sheet = Image.new("RGB", (len(_HEADINGS) * step, height), (16, 16, 16))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=15)
    for column, heading in enumerate(_HEADINGS):
        pen.text((column * step + 4, 8), heading, fill=(235, 235, 235), font=font)
    for row, (pair, caption) in enumerate(zip(shown, captions, strict=True)):
        top = _CAPTION + row * (step + _CAPTION)
        pen.text((4, top + 8), caption, fill=(180, 200, 220), font=font)
        for column, tile in enumerate(tiles(pair)):
            sheet.paste(Image.fromarray(tile), (column * step, top + _CAPTION))
    return sheet


def _captions(store: Path, wanted: set[int]) -> dict[int, str]:
    return {
        row["index"]: _caption(row)
        for record in records(store)
        for row in record.rows
        if row["index"] in wanted
    }


def _caption(row: dict[str, Any]) -> str:
    scanner = row["scanner"]
    rmse = ", ".join(f"{name} {values[0]:.0f}" for name, values in row["rmse_hu"].items())
    return (
        f"{row['index']}: {row['ct']} near {row['anchor'] or '?'}, {row['placement']}, "
        f"{row['case']}, {row['domain']}; {'+'.join(row['materials'])}; "
        f"FOV {row['fov_mm']:.0f} mm, slices {row['slice_mm']:g} mm, {scanner['kvp']} kVp, "
        f"{scanner['kernel']}, {scanner['hu_scale']}, {scanner['geometry']}, "
        f"{scanner['photons_per_ray']:.1e} photons; lost rays "
        f"{100 * row['lost_ray_share'][1]:.1f} %; RMSE HU {rmse}"
    )
