"""Why placement may matter: what realistic and random pairs of the store look like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.dataset.storage.reader import PairStore
from spinemar_study.scenes.scenes import MIDDLE
from spinemar_study.statistics import bootstrap
from spinemar_study.studies.placement_equal import true_metal_mm2
from spinemar_study.studies.placement_scores import RINGS_MM

_FIELDS = ("metal_trace", "lost_ray_trace", "input", "nmar", "truth", "metal")


def trace_shape(trace: NDArray[np.bool_]) -> dict[str, float]:
    """Describe a trace (views, bins): its share, gaps, widths, and how it changes with the view.

    Returns
    -------
    dict
        `share` of all rays; `parts` a view (separate runs of lost bins); `widest` run and
        `mean_width` in bins; `by_angle`, the share's standard deviation over views divided by its
        mean: 0 for a disc, large where metal lines up.
    """
    edges = np.diff(np.pad(trace.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    lengths = []
    for row in edges:
        lengths.append(np.flatnonzero(row == -1) - np.flatnonzero(row == 1))
    every = np.concatenate(lengths) if lengths else np.zeros(0)
    shares = trace.mean(axis=1)
    return {
        "share": float(trace.mean()),
        "parts": float(np.mean([len(each) for each in lengths])),
        "mean_width": float(every.mean()) if every.size else 0.0,
        "widest": float(max((each.max(initial=0) for each in lengths), default=0)),
        "by_angle": float(shares.std() / max(shares.mean(), 1e-9)),
    }


def error_rings(
    image: NDArray[np.float32],
    truth: NDArray[np.float32],
    metal: NDArray[np.bool_],
    pixel_mm: float,
) -> list[float]:
    """Mean square error by distance from metal, HU^2; NaN where no pixel is so far."""
    distance = ndimage.distance_transform_edt(~metal, sampling=(pixel_mm, pixel_mm))
    body = ndimage.binary_fill_holes(truth > -500.0)
    squares = (image.astype(np.float64) - truth) ** 2
    return [
        float(squares[where].mean())
        if (where := body & (distance > a) & (distance <= b)).any()
        else float("nan")
        for a, b in RINGS_MM
    ]


def describe_pairs(store: PairStore, positions: Sequence[int]) -> list[dict[str, Any]]:
    """Describe the middle slice of pairs; one row each."""
    rows = []
    for position in positions:
        row = store.rows[position]
        pair = {name: store.read(name, row["index"])[MIDDLE] for name in _FIELDS}
        metal, truth = pair["metal"], pair["truth"]
        rows.append(
            {
                "index": row["index"],
                "placement": row["placement"],
                "metal_mm2": float(metal.sum()) * row["pixel_mm"] ** 2,
                "true_metal_mm2": sum(true_metal_mm2(row).values()),
                "lost_share": float(pair["lost_ray_trace"].mean()),
                "trace": trace_shape(pair["metal_trace"]),
                "input_rings": error_rings(pair["input"], truth, metal, row["pixel_mm"]),
                "nmar_rings": error_rings(pair["nmar"], truth, metal, row["pixel_mm"]),
            }
        )
    return rows


def summarise_reasons(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means with intervals by placement; rings as root mean squares."""
    out: dict[str, Any] = {}
    for kind in ("realistic", "random"):
        chosen = [row for row in rows if row["placement"] == kind]
        out[kind] = {
            "pairs": len(chosen),
            **{
                name: bootstrap([r[name] for r in chosen]).to_json()
                for name in ("true_metal_mm2", "metal_mm2", "lost_share")
            },
            **{
                name: bootstrap([r["trace"][name] for r in chosen]).to_json()
                for name in ("share", "parts", "mean_width", "widest", "by_angle")
            },
        }
        for image in ("input", "nmar"):
            squares = np.array([r[f"{image}_rings"] for r in chosen], float)
            out[kind][f"{image}_rings_hu"] = np.sqrt(np.nanmean(squares, axis=0)).tolist()
    out["rings_mm"] = [list(ring) for ring in RINGS_MM]
    return out
