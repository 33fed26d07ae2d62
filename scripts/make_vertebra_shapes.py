"""Take shapes of vertebrae from the training patients' CTs, for what metal hides.

Writes spinemar/postop/hidden/vertebrae.npz.

Usage: python scripts/make_vertebra_shapes.py --home FOLDER   (CTs: $SPINEMAR_CT_DATA)

Only training patients: grades of the validation and the test patient are measured with it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from spinemar.planning.grades.bone import bone_field
from spinemar.postop.hidden.shapes import FILE, VertebraShape, write_shapes
from spinemar.spine.anatomy.frames import frames_from_labels
from spinemar.spine.labels.levels import SACRUM, VERSE_IDS
from Testing.benchmarks.earlier_ct.making.patients import HOME, load_patient

TRAINING = ("lidc0314_lower", "acrin_flt_breast_001_abd", "crlm_1004", "lungfcp_01_0001")
_EVERY = 3


def shapes_of(name: str, home: Path) -> Iterator[VertebraShape]:
    """Yield the vertebrae of a patient that have both pedicles and that no end of the CT cuts."""
    patient = load_patient(name, home)
    levels = {site.level for site in patient.sites} - {SACRUM}
    spine = frames_from_labels(patient.labels, naming="verse")
    for frame in spine.vertebrae:
        number = VERSE_IDS[frame.level]
        cut = np.any(patient.labels.labels[[0, -1]] == number)
        if frame.level not in levels or len(frame.pedicles) < len("lr") or cut:
            continue
        field = bone_field(patient.labels, frame)
        thinned = field.values[::_EVERY, ::_EVERY, ::_EVERY]
        step_mm = _EVERY * field.step_mm
        yield VertebraShape(name, frame.level, thinned, field.first_local, step_mm)


def main() -> None:
    """Write the file, and a line for each vertebra."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=HOME, help="where segmentations are kept")
    parser.add_argument("-o", "--output", type=Path, default=FILE)
    options = parser.parse_args()
    shapes = []
    for name in TRAINING:
        for shape in shapes_of(name, options.home):
            print(shape.patient, shape.level, flush=True)
            shapes.append(shape)
    write_shapes(options.output, shapes)


if __name__ == "__main__":
    main()
