"""Pairs as NIfTI volumes of three slices, and as NumPy files of everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.dataset.exchange.layouts import Pair
from spinemar.dataset.pairs.domains import FRACTIONS, IN_HU, MASKS
from spinemar.io.write import write_labels, write_volume
from spinemar.volume import CTVolume, LabelVolume


class NiftiLayout:
    """`training/000012/input.nii.gz` and so on: images in HU and masks, no sinograms."""

    about = """Each pair is a folder `SPLIT/NUMBER` of NIfTI volumes of three slices: `input` (with
artifacts), `li` and `nmar` (corrected), `truth` (the same scan without metal), `earlier_ct` (the
patient before, air where there is none), HU; masks of `metal` as found and of `saturated` pixels,
0 and 1; `metal_fraction`, the share of each voxel that metal truly fills. Fields that the store
leaves out are not there. Columns run to the patient's left, rows to the back, slices upwards; the
origin lies in the middle of the volume. Sinograms are in the formats npz and syndeeplesion.
"""

    def __init__(self, root: Path, stored: Sequence[str]) -> None:
        self._root = root
        shown = (*IN_HU, *MASKS, *FRACTIONS)
        self.fields = tuple(name for name in stored if name in shown)

    def add(self, split: str, pair: Pair, row: Mapping[str, Any]) -> list[Path]:
        """Write one pair."""
        folder = Path(split) / f"{row['index']:06d}"
        (self._root / folder).mkdir(parents=True)
        rows, columns = pair[self.fields[0]].shape[-2:]
        pixel, spacing = row["pixel_mm"], row["spacing_mm"]
        affine = np.diag([-pixel, -pixel, spacing, 1.0])
        affine[:3, 3] = pixel * (columns - 1) / 2, pixel * (rows - 1) / 2, -spacing
        written = []
        for name in self.fields:
            written.append(folder / f"{name}.nii.gz")
            if name in IN_HU:
                write_volume(self._root / written[-1], CTVolume(pair[name], affine))
            elif name in FRACTIONS:
                share = np.clip(pair[name].sum(axis=1), 0.0, 1.0)
                write_volume(self._root / written[-1], CTVolume(share, affine))
            else:
                labels = LabelVolume(pair[name].astype(np.int16), affine)
                write_labels(self._root / written[-1], labels)
        return written

    def close(self) -> None:
        """Nothing is left to write."""


class NpzLayout:
    """`training/000012.npz`: every array of the pair, and its lengths in mm."""

    about = """Each pair is a file `SPLIT/NUMBER.npz` for `numpy.load`: every array of the store
(see the card) with line integrals and HU as float32, and the numbers `index`, `pixel_mm`,
`bin_mm` and `spacing_mm`.
"""

    def __init__(self, root: Path, stored: Sequence[str]) -> None:
        self._root = root
        self.fields = tuple(stored)

    def add(self, split: str, pair: Pair, row: Mapping[str, Any]) -> list[Path]:
        """Write one pair."""
        (self._root / split).mkdir(exist_ok=True)
        place = Path(split) / f"{row['index']:06d}.npz"
        values: dict[str, Any] = {name: pair[name] for name in self.fields}
        values |= {name: row[name] for name in ("index", "pixel_mm", "bin_mm", "spacing_mm")}
        np.savez_compressed(self._root / place, **values)
        return [place]

    def close(self) -> None:
        """Nothing is left to write."""
