"""About which vertebra of which patient a pair is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spinemar.dataset.pair_settings import PairSettings
from spinemar.dataset.sampling.deformation import FloatArray
from spinemar.dataset.sampling.patients import Patient
from spinemar.planning.plans.plan import Plan
from spinemar.spine.labels.levels import SACRUM

LOW_LUMBAR = ("L4", "L5", SACRUM)
"""Where most constructs are in clinics, and few of the CTs show it."""


@dataclass(frozen=True)
class Anchor:
    """A level, and its middle in the CT, shape (3,), RAS mm."""

    patient: Patient
    level: str
    point: FloatArray


def draw_anchor(
    patients: Sequence[Patient], settings: PairSettings, rng: np.random.Generator
) -> Anchor:
    """Draw a level: L4 to S1 as often as the settings say, where any CT shows them.

    Elsewhere every patient is as likely as another, and every level of a patient.
    """
    places = [_places(patient) for patient in patients]
    low = [[place for place in some if place.level in LOW_LUMBAR] for some in places]
    others = [[place for place in some if place.level not in LOW_LUMBAR] for some in places]
    wanted = bool(rng.random() < settings.low_lumbar_share)
    groups = [some for some in (low if wanted else others) if some]
    groups = groups or [some for some in places if some]
    group = groups[int(rng.integers(len(groups)))]
    return group[int(rng.integers(len(group)))]


def _places(patient: Patient) -> list[Anchor]:
    """Levels of the patient's clean range, or all where none is in it."""
    if patient.sites:
        low, high = patient.clean_mm
        inside = [s for s in patient.sites if low <= s.isthmus[2] <= high]
        return [Anchor(patient, s.level, s.body_centre) for s in inside or patient.sites]
    assert patient.plan is not None
    return [Anchor(patient, *place) for place in screws_at_levels(patient.plan)]


def screws_at_levels(plan: Plan) -> list[tuple[str, FloatArray]]:
    """Return levels and tips of a plan's screws in vertebrae; of all screws where none is.

    A tip has the shape (3,), RAS mm.
    """
    screws = [screw for screw in plan.screws if not screw.in_pelvis]
    return [(screw.level, np.array(screw.tip)) for screw in screws or plan.screws]
