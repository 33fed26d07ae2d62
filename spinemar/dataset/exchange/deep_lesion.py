"""Pairs in the folders that published networks read: DeepLesion with metal, as HDF5 and MATLAB.

Only the layout is theirs; keys, shapes, units and lists of files were taken from the public
loaders (see References), and no code.

References
----------
SynDeepLesion: github.com/hongwang01/InDuDoNet (deeplesion/Dataset.py) and
github.com/hongwang01/DICDNet (dataset.py, data/).
ADN: github.com/liaohaofu/adn (adn/datasets/deep_lesion.py, prepare_deep_lesion.m).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.extras import optional
from spinemar.dataset.exchange.fan_grid import (
    IMAGE_PX,
    FanGrid,
    hu_to_layout,
    integral_factor,
)
from spinemar.dataset.exchange.layouts import Pair, middle
from spinemar.mar.pipeline.interpolation.linear import interpolate_linearly

MASK_PX = 512
_FOLDERS = {"training": "train", "validation": "validation", "test": "test"}


class SynDeepLesionLayout:
    """`train/train_640geo/CT/000012/gt.h5` and `7.h5`, lists of them, and the metal masks."""

    fields: tuple[str, ...] = ("sinogram", "target", "metal_trace", "input", "li", "truth", "metal")
    about = """The middle slices of pairs as SynDeepLesion has them: the folders `train`,
`validation` and `test` are what InDuDoNet's and DICDNet's `--data_path` names. Line n of
`train_640geo_dir.txt` (`test_640geo_dir.txt` in the other two) names a `gt.h5`; beside it lies
the pair's `n.h5`, and plane n of `trainmask.npy` (`testmask.npy`) holds its metal, 512 x 512.

| file | key | holds |
|---|---|---|
| `gt.h5` | `image`, `poly_CT` | the scan without metal, 416 x 416, attenuation per cm |
| | `poly_sinogram` | its line integrals, 640 x 641 |
| `n.h5` | `ma_CT`, `LI_CT` | with metal, and corrected by linear interpolation |
| | `ma_sinogram`, `LI_sinogram` | their line integrals |
| | `metal_trace` | 1 on rays through metal |

In SynDeepLesion every image has been given the same 90 metals; here each pair has its own. So the
number of the metal is the number of the line: where the loader draws `random_mask`, or counts
`mask_idx`, write `random_mask = idx` (`mask_idx = imag_idx`). That is the one line to change.

The fan beam, 0.192 per cm for water and 15.36 cm for every field of view are SynDeepLesion's, so
that the ray transform in the loader (ODL) makes of `image` what `poly_sinogram` holds. Line
integrals were interpolated onto that fan from parallel rays; times the attribute
`per_line_integral` they are those of the real size.
"""

    def __init__(self, root: Path, _stored: Sequence[str]) -> None:
        with optional("An export in SynDeepLesion's layout"):
            import h5py
        self._h5py = h5py
        self._root = root
        self._lines: dict[str, list[str]] = {}
        self._masks: dict[str, list[NDArray[np.uint8]]] = {}  # eight pixels a byte

    def add(self, split: str, pair: Pair, row: Mapping[str, Any]) -> list[Path]:
        """Write one pair."""
        lines = self._lines.setdefault(split, [])
        kind = _kind(split)
        place = f"{row['ct']}/{row['index']:06d}"
        folder = Path(_FOLDERS[split]) / f"{kind}_640geo" / place
        (self._root / folder).mkdir(parents=True)
        arrays = layout_arrays(pair, row)
        written = [folder / "gt.h5", folder / f"{len(lines)}.h5"]
        for path, names in zip(
            written, (("image", "poly_CT", "poly_sinogram"), _METAL), strict=True
        ):
            with self._h5py.File(self._root / path, "w") as file:
                file.attrs.update(_facts(row))
                for name in names:
                    file.create_dataset(name, data=arrays[name], compression="gzip", shuffle=True)
        lines.append(f"{place}/gt.h5\n")
        mask = _resized_mask(middle(pair["metal"]))
        self._masks.setdefault(split, []).append(np.packbits(mask, axis=1))
        return written

    def close(self) -> None:
        """Write the lists, and the masks, whose last axis counts the pairs."""
        for split, lines in self._lines.items():
            folder, kind = self._root / _FOLDERS[split], _kind(split)
            (folder / f"{kind}_640geo_dir.txt").write_text("".join(lines), encoding="utf-8")
            masks = np.lib.format.open_memmap(
                folder / f"{kind}mask.npy", "w+", np.uint8, (MASK_PX, MASK_PX, len(lines))
            )
            for number, mask in enumerate(self._masks[split]):
                masks[..., number] = np.unpackbits(mask, axis=1)
            masks.flush()


_METAL = ("ma_CT", "LI_CT", "ma_sinogram", "LI_sinogram", "metal_trace")


def _kind(split: str) -> str:
    return "train" if split == "training" else "test"


def layout_arrays(pair: Pair, row: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return the middle slice's arrays as SynDeepLesion has them.

    Parameters
    ----------
    pair : mapping of str to ndarray
    row : mapping
        `pixel_mm` and `bin_mm` count.

    Returns
    -------
    dict of str to ndarray
        Images (416, 416), sinograms (640, 641); LI's is interpolated on the parallel grid and
        equal to `ma_sinogram` outside `metal_trace`.
    """
    one = {name: middle(pair[name]) for name in SynDeepLesionLayout.fields}
    fov_mm = row["pixel_mm"] * one["truth"].shape[-1]
    views, bins = one["sinogram"].shape
    grid = FanGrid(views, bins, row["bin_mm"] / (fov_mm / IMAGE_PX))
    factor = np.float32(integral_factor(fov_mm))
    measured = grid.of(one["sinogram"]) * factor
    filled = grid.of(interpolate_linearly(one["sinogram"], one["metal_trace"])) * factor
    trace = grid.trace_of(one["metal_trace"])
    truth = _resized(hu_to_layout(one["truth"]), IMAGE_PX)
    return {
        "image": truth,
        "poly_CT": truth,
        "poly_sinogram": grid.of(one["target"]) * factor,
        "ma_CT": _resized(hu_to_layout(one["input"]), IMAGE_PX),
        "LI_CT": _resized(hu_to_layout(one["li"]), IMAGE_PX),
        "ma_sinogram": measured,
        "LI_sinogram": np.where(trace, filled, measured),
        "metal_trace": trace.astype(np.uint8),
    }


def _facts(row: Mapping[str, Any]) -> dict[str, Any]:
    fov_mm = row["fov_mm"]
    return {
        **{name: row[name] for name in ("index", "ct", "patient", "domain", "fov_mm")},
        "per_line_integral": 1.0 / integral_factor(fov_mm),
    }


class AdnLayout:
    """`train/CT/000012/gt.mat` and `1.mat`, 256 x 256, for ADN's loader."""

    fields: tuple[str, ...] = ("input", "truth")
    about = """The middle slices of pairs as ADN reads DeepLesion: `gt.mat` holds `image`, HU plus
32768 as uint16, turned over its diagonal as ADN's preparation leaves it; `1.mat` holds `image`,
attenuation per cm (0.192 for water) with metal. 256 x 256. Name the folders `train` and
`validation` in ADN's configuration as `dataset_dir`.
"""
    _SIZE, _OFFSET = 256, 32768

    def __init__(self, root: Path, _stored: Sequence[str]) -> None:
        self._root = root

    def add(self, split: str, pair: Pair, row: Mapping[str, Any]) -> list[Path]:
        """Write one pair."""
        from scipy.io import savemat

        folder = Path(_FOLDERS[split]) / row["ct"] / f"{row['index']:06d}"
        (self._root / folder).mkdir(parents=True)
        truth = np.rint(_resized(middle(pair["truth"]), self._SIZE)) + self._OFFSET
        metal = _resized(hu_to_layout(middle(pair["input"])), self._SIZE)
        written = [folder / "gt.mat", folder / "1.mat"]
        for path, image in zip(
            written, (np.clip(truth, 0, 65535).astype(np.uint16).T, metal), strict=True
        ):
            savemat(self._root / path, {"image": image}, do_compression=True)
        return written

    def close(self) -> None:
        """Nothing is left to write."""


def _resized(image: NDArray[np.floating], size: int) -> NDArray[np.float32]:
    from skimage.transform import resize

    if image.shape == (size, size):
        return np.asarray(image, dtype=np.float32)
    smooth = image.shape[0] > size
    found = resize(image, (size, size), order=1, anti_aliasing=smooth, preserve_range=True)
    return np.asarray(found, dtype=np.float32)


def _resized_mask(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(_resized(mask.astype(np.float32), MASK_PX) >= 0.5)
