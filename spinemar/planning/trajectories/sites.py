"""Pedicles as places for screws, from spine frames or from hand-set landmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spinemar.errors import InputError
from spinemar.implants.shapes.solids import FloatArray, unit
from spinemar.spine.labels.levels import level_position
from spinemar.spine.model import VertebraFrame

# Mean pedicle widths in mm (Vaccaro 1995, Zindrick 1987; see Docs/planning.md), for
# landmarks without a measured width.
_WIDTHS = {
    "C7": 6.5, "T1": 9.3, "T2": 7.5, "T3": 5.5, "T4": 4.5, "T5": 4.6, "T6": 4.9,
    "T7": 5.2, "T8": 5.6, "T9": 6.0, "T10": 6.7, "T11": 8.0, "T12": 8.3,
    "L1": 8.7, "L2": 8.9, "L3": 10.3, "L4": 12.9, "L5": 18.0, "S1": 18.0,
}  # fmt: skip
#: Screws of both sides that meet in the body leave so much bone between them, mm.
MIDLINE_GAP_MM = 3.0
# Half the canal between its centre and the back of the body.
_CANAL_RADIUS_MM = 8.0


@dataclass(frozen=True)
class PedicleSite:
    """What a screw needs to know of its pedicle; points and vectors have shape (3,).

    `axis` runs from the entry towards the body; `anterior_mm` is the estimated way
    along it from the entry to the anterior cortex; `midline` and `right` give the
    mid-sagittal plane of the vertebra.
    """

    level: str
    side: str
    entry: FloatArray
    isthmus: FloatArray
    axis: FloatArray
    width_mm: float
    anterior_mm: float
    body_centre: FloatArray
    right: FloatArray
    superior: FloatArray

    @property
    def lateral(self) -> FloatArray:
        """Unit vector away from the midline."""
        return self.right if self.side == "right" else -self.right


def usual_width_mm(level: str) -> float:
    """Return the mean pedicle width of a level in the literature."""
    return _WIDTHS.get(level, 8.0)


def sites_from_frames(vertebrae: Sequence[VertebraFrame]) -> tuple[PedicleSite, ...]:
    """Return the pedicles of spine frames, from head to foot, left before right."""
    sites = []
    for vertebra in vertebrae:
        for side in ("left", "right"):
            if side in vertebra.pedicles:
                pedicle = vertebra.pedicles[side]
                sites.append(
                    PedicleSite(
                        vertebra.level,
                        side,
                        pedicle.entry_ras,
                        pedicle.isthmus_ras,
                        unit(pedicle.axis_ras),
                        pedicle.width_mm,
                        _anterior_mm(
                            pedicle.entry_ras,
                            unit(pedicle.axis_ras),
                            vertebra.anterior,
                            vertebra.body_centre_ras,
                            vertebra.canal_centre_ras,
                        ),
                        vertebra.body_centre_ras,
                        vertebra.right,
                        vertebra.superior,
                    )
                )
    return tuple(sites)


def sites_from_landmarks(document: Mapping[str, Any]) -> tuple[PedicleSite, ...]:
    """Return the pedicles of a landmark file (Resources/Landmarks), as parsed JSON.

    Raises
    ------
    InputError
        If it is no such file.
    """
    try:
        found = sorted(document["vertebrae"], key=lambda v: level_position(v["level"]))
        centres = [np.array(v["body_centre_ras"], float) for v in found]
        return tuple(
            site
            for n, vertebra in enumerate(found)
            for site in _landmark_sites(vertebra, _upwards(centres, n))
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"These landmarks cannot be used ({error!r}).", "Use a file of Resources/Landmarks."
        ) from error


def _landmark_sites(vertebra: Mapping[str, Any], upwards: FloatArray) -> list[PedicleSite]:
    body = np.array(vertebra["body_centre_ras"], float)
    canal = np.array(vertebra["canal_centre_ras"], float)
    anterior = body - canal
    anterior = unit(anterior - upwards * (upwards @ anterior))
    right = np.cross(anterior, upwards)
    sites = []
    for side in ("left", "right"):
        pedicle = vertebra["pedicles"].get(side)
        if pedicle is None:
            continue
        entry = np.array(pedicle["entry_ras"], float)
        isthmus = np.array(pedicle["isthmus_ras"], float)
        axis = unit(isthmus - entry)
        width = float(pedicle.get("width_mm") or usual_width_mm(vertebra["level"]))
        reach = _anterior_mm(entry, axis, anterior, body, canal)
        sites.append(
            PedicleSite(
                vertebra["level"], side, entry, isthmus, axis, width, reach, body, right, upwards
            )
        )
    return sites


def _upwards(centres: Sequence[FloatArray], n: int) -> FloatArray:
    """Return the spine's direction at vertebra n, towards the head."""
    if len(centres) < 2:
        return np.array([0.0, 0.0, 1.0])
    return unit(centres[max(n - 1, 0)] - centres[min(n + 1, len(centres) - 1)])


def _anterior_mm(
    entry: FloatArray, axis: FloatArray, anterior: FloatArray, body: FloatArray, canal: FloatArray
) -> float:
    """Estimate the way to the anterior cortex: as far before the body's centre as its back."""
    half_depth = max(float((body - canal) @ anterior) - _CANAL_RADIUS_MM, 8.0)
    way = (float((body - entry) @ anterior) + half_depth) / max(float(axis @ anterior), 0.3)
    # The front of the body is round: off the midline it is nearer.
    return max(way - 2.0, 15.0)
