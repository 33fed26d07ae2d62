"""Splits by patient: no person's pairs are in two sets, however often the person was changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from spinemar.base.json_text import read_json
from spinemar.dataset.manifest import SPLITS as NAMES
from spinemar.dataset.storage.layout import SPLITS, InputFact
from spinemar.errors import InputError

_MAX_SPLITS_BYTES = 256 << 20

_SHARES = (0.8, 0.1, 0.1)


def assign_patients(
    inputs: Sequence[InputFact], shares: Sequence[float] = _SHARES, seed: int = 0
) -> dict[str, str]:
    """Return the split of every patient.

    Parameters
    ----------
    inputs : sequence of InputFact
        A split stated in the list of CTs stays.
    shares : (training, validation, test)
        For the patients without one, as whole people.
    seed : int
        Draws them; by SHA-256, so that it is the same on every machine.

    Raises
    ------
    InputError
        If the shares are not three that add up to 1.
    """
    if len(shares) != len(NAMES) or min(shares) < 0 or not 0.999 < sum(shares) < 1.001:
        raise InputError(
            f"The shares {', '.join(f'{s:g}' for s in shares)} are no split.",
            "Give three shares that add up to 1.",
        )
    stated = {item.patient: item.split for item in inputs if item.split is not None}
    free = sorted({item.patient for item in inputs} - set(stated), key=lambda p: _lot(p, seed))
    ends = [round(sum(shares[: n + 1]) * len(free)) for n in range(len(NAMES))]
    drawn = {
        patient: NAMES[next(n for n, end in enumerate(ends) if place < end)]
        for place, patient in enumerate(free)
    }
    return {**stated, **drawn}


def _lot(patient: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{patient}".encode()).hexdigest()


def splits_text(patients: Mapping[str, str], pairs: Mapping[str, Sequence[int]]) -> str:
    """Return the splits as JSON: the patients' sets, and the numbers of the sets' pairs.

    Parameters
    ----------
    patients : mapping of patient to split
    pairs : mapping of patient to the numbers of their pairs
    """
    numbers = {
        name: sorted(n for patient in pairs if patients[patient] == name for n in pairs[patient])
        for name in NAMES
    }
    document = {"patients": dict(sorted(patients.items())), "pairs": numbers}
    return json.dumps(document, separators=(",", ":")) + "\n"


def read_splits(store: Path) -> tuple[dict[str, str], dict[str, list[int]]]:
    """Return the split of every patient, and the pairs of every split.

    Raises
    ------
    InputError
        If they are missing or damaged.
    """
    try:
        document = read_json(store / SPLITS, f"file {SPLITS}", _MAX_SPLITS_BYTES)
        return document["patients"], document["pairs"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"The splits of {store.name} cannot be read ({error}).",
            "Write them with `spinemar dataset split`.",
        ) from error
