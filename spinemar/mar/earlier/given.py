"""An earlier CT of the same patient, as a user gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from spinemar.registration.motions import Registration
from spinemar.volume import CTVolume, LabelVolume


@dataclass(frozen=True, eq=False)
class EarlierCt:
    """A CT of the same patient without the metal.

    Parameters
    ----------
    volume : CTVolume
        Any grid, orientation and field of view; it may hold other metal, which is left out.
    labels : LabelVolume, optional
        Its vertebrae, under any known numbering, on any grid; by default it is segmented.
    transforms : Registration, optional
        From an earlier run, edited or not: nothing but soft tissue is registered again.
    facts : mapping of str to str
        Where it comes from, for the provenance: `sha256`, `series_uid`, `study_date`, ...
    """

    volume: CTVolume
    labels: LabelVolume | None = None
    transforms: Registration | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
