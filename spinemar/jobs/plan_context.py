"""What a plan stands in, as a job names it: the spine it is for and the catalogue it is from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from spinemar.base.json_text import read_text
from spinemar.errors import InputError
from spinemar.implants.catalogue import Catalogue, catalogue_from_json, load_catalogue
from spinemar.jobs.engine.arrays import load_labels
from spinemar.spine.anatomy.agreement.compare import compared_with_ct
from spinemar.spine.model import SpineModel
from spinemar.spine.serial import spine_from_json
from spinemar.volume import CTVolume


def catalogue_of(text: str | None) -> Catalogue:
    """Read the catalogue that a job carries as JSON text; the generic one without it.

    Raises
    ------
    InputError
        If it is none.
    """
    return load_catalogue() if text is None else catalogue_from_json(text)


def spine_of(
    named: Any, frames: Path, volume: CTVolume | None = None, pelvis: Any = None
) -> SpineModel:
    """Read the spine model that a job names by its labels and the file of its frames.

    The labels are compared with this CT where there is one, whatever the frames say of another.
    `pelvis` names the hips and the lower sacrum of its segmentation, as `SpineModel.pelvis`.

    Raises
    ------
    InputError
        If it names none, or they cannot be read.
    """
    labels = load_labels(named)
    if labels is None:
        raise InputError("The job names no labels.", "Segment the spine first.")
    spine = spine_from_json(read_text(frames, "job's file of frames"), labels)
    spine = replace(spine, pelvis=load_labels(pelvis))
    return spine if volume is None else compared_with_ct(spine, volume)
