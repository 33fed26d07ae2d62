"""Spine frames as JSON; every number survives the round trip bit for bit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from spinemar.base.json_text import parse_json
from spinemar.errors import InputError
from spinemar.spine.model import (
    Agreement,
    Endplate,
    FemoralHead,
    PedicleFrame,
    SpineModel,
    VertebraFrame,
)
from spinemar.volume import LabelVolume

SCHEMA = "spinemar.spine"
_SCHEMA_VERSION = 1


def spine_to_json(model: SpineModel, indent: int | None = 1) -> str:
    """Write frames and canal (not the labels) as JSON text, `indent` as in `json.dumps`."""
    document = {
        "schema": SCHEMA,
        "version": _SCHEMA_VERSION,
        "units": "RAS mm",
        "vertebrae": [_vertebra_to_dict(vertebra) for vertebra in model.vertebrae],
        "canal_ras": model.canal_ras.tolist(),
        **heads_facts(model),
    }
    return json.dumps(document, indent=indent, allow_nan=False)


def spine_from_json(text: str, labels: LabelVolume) -> SpineModel:
    """Read what `spine_to_json` wrote; the labels come from their own file.

    Raises
    ------
    InputError
        If the text is no such JSON, or of another version.
    """
    try:
        document = parse_json(text, "file of frames")
        stated = document["schema"], document["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable() from error
    if stated != (SCHEMA, _SCHEMA_VERSION):
        raise InputError(
            f"These frames are of schema {stated[0]} {stated[1]}.",
            f"This software reads {SCHEMA} {_SCHEMA_VERSION}; segment the CT again.",
        )
    try:
        vertebrae = tuple(_vertebra_from_dict(item) for item in document["vertebrae"])
        canal = np.reshape(np.array(document["canal_ras"], dtype=np.float64), (-1, 3))
        # Earlier files have none of these.
        heads = tuple(_head_from_dict(item) for item in document.get("femoral_heads", ()))
        doubt = str(document.get("heads_doubt", ""))
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise _unreadable() from error
    return SpineModel(labels, vertebrae, canal, heads, doubt)


def heads_facts(model: SpineModel) -> dict[str, Any]:
    """Return the femoral heads, and why there are none, as JSON can hold it."""
    return {
        "femoral_heads": [
            {
                "side": head.side,
                "centre_ras": head.centre_ras.tolist(),
                "radius_mm": float(head.radius_mm),
                "residual_mm": float(head.residual_mm),
            }
            for head in model.femoral_heads
        ],
        "heads_doubt": model.heads_doubt,
    }


def _head_from_dict(item: Mapping[str, Any]) -> FemoralHead:
    return FemoralHead(
        side=str(item["side"]),
        centre_ras=item["centre_ras"],
        radius_mm=float(item["radius_mm"]),
        residual_mm=float(item["residual_mm"]),
    )


def _unreadable() -> InputError:
    return InputError(
        "This file does not hold spine frames.", "Write it with `spinemar segment --frames`."
    )


def _vertebra_to_dict(vertebra: VertebraFrame) -> dict[str, Any]:
    spinous = vertebra.spinous_process_ras
    return {
        "level": vertebra.level,
        "body_centre_ras": vertebra.body_centre_ras.tolist(),
        "axes_ras": vertebra.axes_ras.tolist(),
        "endplates": {
            name: {"point_ras": p.point_ras.tolist(), "normal_ras": p.normal_ras.tolist()}
            for name, p in vertebra.endplates.items()
        },
        "seen_endplates": {
            name: {"point_ras": p.point_ras.tolist(), "normal_ras": p.normal_ras.tolist()}
            for name, p in vertebra.seen_endplates.items()
        },
        "canal_centre_ras": vertebra.canal_centre_ras.tolist(),
        "canal_contour_ras": vertebra.canal_contour_ras.tolist(),
        "spinous_process_ras": None if spinous is None else spinous.tolist(),
        "pedicles": {name: _pedicle_to_dict(p) for name, p in vertebra.pedicles.items()},
        "confidence": float(vertebra.confidence),
        "warnings": list(vertebra.warnings),
        "cut_off": bool(vertebra.cut_off),
        "agreement": agreement_facts(vertebra.agreement),
        "level_doubt": vertebra.level_doubt,
    }


def agreement_facts(agreement: Agreement | None) -> dict[str, Any] | None:
    """Return the comparison of labels with the CT as JSON can hold it; None where there is none."""
    if agreement is None:
        return None
    offset = agreement.offset_mm
    return {
        "offset_mm": None if offset is None else offset.tolist(),
        "growth_mm": agreement.growth_mm,
        "border_share": agreement.border_share,
        "shell_hu": agreement.shell_hu,
        "core_hu": agreement.core_hu,
        "canal_hu": agreement.canal_hu,
        "doubts": list(agreement.doubts),
    }


def _pedicle_to_dict(pedicle: PedicleFrame) -> dict[str, Any]:
    return {
        "isthmus_ras": pedicle.isthmus_ras.tolist(),
        "entry_ras": pedicle.entry_ras.tolist(),
        "axis_ras": pedicle.axis_ras.tolist(),
        "width_mm": float(pedicle.width_mm),
        "height_mm": float(pedicle.height_mm),
        "confidence": float(pedicle.confidence),
    }


def _vertebra_from_dict(item: Mapping[str, Any]) -> VertebraFrame:
    contour = np.reshape(np.array(item["canal_contour_ras"], dtype=np.float64), (-1, 3))
    return VertebraFrame(
        level=str(item["level"]),
        body_centre_ras=item["body_centre_ras"],
        axes_ras=item["axes_ras"],
        endplates={name: Endplate(**plane) for name, plane in item["endplates"].items()},
        canal_centre_ras=item["canal_centre_ras"],
        spinous_process_ras=item["spinous_process_ras"],
        pedicles={
            side: PedicleFrame(side=side, **pedicle) for side, pedicle in item["pedicles"].items()
        },
        confidence=float(item["confidence"]),
        warnings=tuple(item["warnings"]),
        canal_contour_ras=contour,
        # Earlier files have none of these.
        cut_off=bool(item.get("cut_off", False)),
        agreement=_agreement_from_dict(item.get("agreement")),
        level_doubt=str(item.get("level_doubt", "")),
        seen_endplates={
            name: Endplate(**plane) for name, plane in item.get("seen_endplates", {}).items()
        },
    )


def _agreement_from_dict(item: Mapping[str, Any] | None) -> Agreement | None:
    if item is None:
        return None
    names = ("growth_mm", "border_share", "shell_hu", "core_hu", "canal_hu")
    numbers = {name: None if item[name] is None else float(item[name]) for name in names}
    doubts = tuple(str(text) for text in item["doubts"])
    return Agreement(offset_mm=item["offset_mm"], **numbers, doubts=doubts)
