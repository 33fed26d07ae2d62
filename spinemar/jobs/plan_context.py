"""What a plan stands in, as a job names it: the spine it is for and the catalogue it is from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spinemar.errors import InputError
from spinemar.implants.catalogue import Catalogue, catalogue_from_json, load_catalogue
from spinemar.jobs.engine.arrays import load_labels
from spinemar.spine.model import SpineModel
from spinemar.spine.serial import spine_from_json


def catalogue_of(job: Mapping[str, Any]) -> Catalogue:
    """Read the catalogue that a job carries; the generic one without it.

    Raises
    ------
    InputError
        If it is none.
    """
    text = job.get("catalogue")
    return load_catalogue() if text is None else catalogue_from_json(str(text))


def spine_of(job: Mapping[str, Any]) -> SpineModel:
    """Read the spine model that a job names by `labels` and `frames`.

    Raises
    ------
    InputError
        If it names none, or they cannot be read.
    """
    labels = load_labels(job.get("labels"))
    if labels is None:
        raise InputError("The job names no labels.", "Segment the spine first.")
    try:
        text = Path(str(job.get("frames"))).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError("The job's frames cannot be read.", "Segment the spine again.") from error
    return spine_from_json(text, labels)
