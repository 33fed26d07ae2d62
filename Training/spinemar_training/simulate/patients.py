"""Prepare training CTs for the GPU: cropped HU, depth below the skin, pedicle landmarks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinemar.dataset.judge import refuse_judge
from spinemar.errors import InputError
from spinemar.evaluation.regions import filled_body

_SKIN_HU = -400.0
_QUANTUM_HU = 3


def _read_landmarks(path: Path) -> list[tuple[str, str, NDArray[np.float64]]]:
    """Read (level, side, points LPS mm (3, 3): entry, isthmus, body centre) of each pedicle."""
    flip = np.array([-1.0, -1.0, 1.0])
    found = []
    try:
        vertebrae = json.loads(path.read_text(encoding="utf-8"))["vertebrae"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path.name} cannot be read as a file of landmarks.",
            "Give one like those of Resources/Landmarks.",
        ) from error
    for vertebra in vertebrae:
        body = vertebra.get("body_centre_ras")
        for side in ("left", "right"):
            pedicle = vertebra.get("pedicles", {}).get(side)
            if body is None or not pedicle or "entry_ras" not in pedicle:
                continue
            points = np.array([pedicle["entry_ras"], pedicle["isthmus_ras"], body], float)
            found.append((str(vertebra["level"]), side, points * flip))
    return found


def prepare_patient(
    ct: Path, landmarks: Path, output: Path, clean_z_mm: tuple[float, float] | None = None
) -> None:
    """Write one patient's file (.npz) for `spinemar_training.simulate`.

    Parameters
    ----------
    ct : Path
        CT with axial slices.
    landmarks : Path
        Hand-checked points (see Resources/Landmarks).
    output : Path
        Where the .npz goes.
    clean_z_mm : (low, high), optional
        Range of z (superior, mm) without metal of the patient's own.

    Raises
    ------
    InputError
        If the CT or the landmarks cannot be read, or the CT is a judge's; nothing is written then.
    """
    import SimpleITK
    from scipy import ndimage

    refuse_judge(ct)
    pedicles = _read_landmarks(landmarks)
    try:
        image = SimpleITK.DICOMOrient(SimpleITK.ReadImage(str(ct)), "LPS")
    except RuntimeError as error:
        raise InputError(
            f"The CT {ct} cannot be read.", "Check the path; NIfTI, NRRD and MetaImage can be read."
        ) from error
    hu = SimpleITK.GetArrayFromImage(image).astype(np.float32)
    spacing = np.array(image.GetSpacing())
    origin = np.array(image.GetOrigin())
    body = np.stack([filled_body(image, _SKIN_HU, 3) for image in hu])
    hu = np.where(ndimage.binary_dilation(body, np.ones((1, 3, 3), dtype=bool)), hu, -1000.0)
    rows = np.flatnonzero(body.any((0, 2)))
    columns = np.flatnonzero(body.any((0, 1)))
    window = (slice(None), slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    origin = origin + np.array([columns[0], rows[0], 0]) * spacing
    depth = np.stack(
        [ndimage.distance_transform_edt(m, sampling=spacing[1::-1]) for m in body[window]]
    )
    quantised = np.clip(hu[window], -1000, 2000) / _QUANTUM_HU
    top = float(origin[2] + spacing[2] * (len(hu) - 1))
    output.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        output,
        hu=np.round(quantised).astype(np.int16) * _QUANTUM_HU,
        depth_mm=np.minimum(depth, 250).astype(np.uint8),
        origin_mm=origin,
        spacing_mm=spacing,
        levels=np.array([p[0] for p in pedicles]),
        sides=np.array([p[1] for p in pedicles]),
        points=np.array([p[2] for p in pedicles]).reshape(-1, 3, 3),
        clean_z_mm=np.array(clean_z_mm or (float(origin[2]), top)),
    )
