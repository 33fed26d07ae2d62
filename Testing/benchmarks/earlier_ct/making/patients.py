"""Patients without metal to make pairs of: their CT, vertebrae and pedicles."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemar.demo.sample_data import sample_ct, sample_labels
from spinemar.errors import InputError
from spinemar.io import read_labels, read_volume, write_labels
from spinemar.planning.trajectories.sites import PedicleSite, sites_from_landmarks
from spinemar.spine.labels.conventions import to_verse
from spinemar.spine.labels.levels import VERSE_IDS
from spinemar.spine.segmentation.segment import segment_spine
from spinemar.volume import CTVolume, LabelVolume

ROOT = Path(__file__).resolve().parents[4]
HOME = ROOT / "build" / "earlier_ct"
SAMPLE = "lidc_idri_0001"
SPLITS = {"crlm_1006": "validation", SAMPLE: "test"}
"""Fusion and registration may be tuned on the validation patient, never on the test patient."""


@dataclass(frozen=True, eq=False)
class CleanPatient:
    """A patient without metal; points are RAS mm.

    Parameters
    ----------
    name : str
        Of the landmark file.
    volume : CTVolume
    labels : LabelVolume
        VerSe numbers on the CT's grid.
    sites : tuple of PedicleSite
    canal : mapping of str to ndarray, shape (3,)
        Middle of the canal by level.
    """

    name: str
    volume: CTVolume
    labels: LabelVolume
    sites: tuple[PedicleSite, ...]
    canal: Mapping[str, NDArray[np.float64]]

    @property
    def split(self) -> str:
        """Validation or test."""
        return SPLITS[self.name]

    def between(self, low_mm: float, high_mm: float) -> CleanPatient:
        """The slices between two heights (RAS mm), and what lies on them."""
        heights = self.volume.ijk_to_ras[2, 3] + self.volume.ijk_to_ras[2, 2] * np.arange(
            len(self.volume.hu)
        )
        kept = np.flatnonzero((heights >= low_mm) & (heights <= high_mm))
        part = slice(int(kept[0]), int(kept[-1]) + 1)
        affine = self.volume.ijk_to_ras.copy()
        affine[2, 3] = heights[part.start]
        return replace(
            self,
            volume=CTVolume(self.volume.hu[part], affine),
            labels=LabelVolume(self.labels.labels[part], affine),
        )

    def neighbours(self) -> list[tuple[str, str]]:
        """Pairs of adjacent levels with all four pedicles, from head to foot."""
        whole = [
            level
            for level in dict.fromkeys(site.level for site in self.sites)
            if sum(site.level == level for site in self.sites) == 2
            and np.any(self.labels.labels == VERSE_IDS[level])
        ]
        order = list(VERSE_IDS)
        return [
            (a, b) for a, b in itertools.pairwise(whole) if order.index(b) - order.index(a) == 1
        ]


def ct_of(name: str) -> Path:
    """Where a patient's CT lies: fetched, in `$SPINEMAR_CT_DATA`, or in the developers' data.

    Raises
    ------
    InputError
        If it is not there.
    """
    if name == SAMPLE:
        return sample_ct()
    folder = os.environ.get("SPINEMAR_CT_DATA")
    path = Path(folder or ROOT.parent / "shared" / "data" / "ct") / f"{name}.nii.gz"
    if not path.is_file():
        raise InputError(f"There is no {path}.", "Name the folder of CTs in SPINEMAR_CT_DATA.")
    return path


def load_patient(name: str, home: Path = HOME) -> CleanPatient:
    """Read a patient; vertebrae that nobody drew are segmented once and kept in `home`."""
    text = (ROOT / "Resources" / "Landmarks" / f"{name}.json").read_text("utf-8")
    document = json.loads(text)
    volume = read_volume(ct_of(name))
    if name == SAMPLE:
        labels = to_verse(read_labels(sample_labels()))
    else:
        labels = _segmented(home / f"{name}-labels.nii.gz", volume, document)
    canal = {v["level"]: np.array(v["canal_centre_ras"], float) for v in document["vertebrae"]}
    return CleanPatient(name, volume, labels, sites_from_landmarks(document), canal)


def _segmented(kept: Path, volume: CTVolume, document: Mapping[str, list[dict[str, object]]]
               ) -> LabelVolume:  # fmt: skip
    """The project's own segmentation, named by the hand-set landmarks."""
    if not kept.is_file():
        seeds = {str(v["level"]): np.array(v["body_centre_ras"]) for v in document["vertebrae"]}
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_labels(kept, segment_spine(volume, seeds=seeds).labels)
    return read_labels(kept)
