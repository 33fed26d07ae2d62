"""Which vertebrae's true labels are fit to grade in: those that agree with landmarks set by hand.

The validation patient's truth is a segmentation of the clean CT. Where it puts a pedicle somewhere
else than a person did, no letter that is derived from it is a truth.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from spinemar.base.atomic_files import atomic_path
from spinemar.spine.anatomy.frames import frames_from_labels
from Testing.benchmarks.earlier_ct.making.patients import SAMPLE, load_patient

MOST_OFF_MM = 3.0
"""From the isthmus of the labels to the one set by hand."""


def patient_of(scan: str) -> str:
    """Return whose a scan of either benchmark is."""
    if "-validation-" in scan:
        return "crlm_1006"
    return SAMPLE if "-test-" in scan else scan.split("-", maxsplit=1)[0]


def doubtful_levels(patient: str, home: Path) -> frozenset[str]:
    """Return the vertebrae whose labels put a pedicle elsewhere; measured once for a home folder.

    A pedicle that the labels do not show counts likewise.
    """
    kept = home / f"{patient}-doubtful.json"
    if not kept.is_file():
        whole = load_patient(patient, home)
        spine = frames_from_labels(whole.labels, naming="verse")
        doubtful = set()
        for site in whole.sites:
            known = spine.vertebra(site.level).pedicles if site.level in spine.levels else {}
            one = known.get(site.side)
            off = np.inf if one is None else np.linalg.norm(one.isthmus_ras - site.isthmus)
            if off >= MOST_OFF_MM:
                doubtful.add(site.level)
        with atomic_path(kept) as temporary:
            temporary.write_text(json.dumps(sorted(doubtful)) + "\n")
    return frozenset(json.loads(kept.read_text()))
