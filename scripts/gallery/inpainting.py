"""Inpainting of the metal trace: rays and images, method by method."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gallery.patient import SOFT, close_up, scan, telling_slices
from gallery.style import grey, marked, save, sheet, show
from spinemar.demo.run import methods_at_hand
from spinemar.mar.correct import correct_volume
from spinemar.mar.settings import METHOD_TITLES
from spinemar.report.display import View
from spinemar.report.sinogram import SinogramStudy


def draw(folder: Path) -> None:
    """Draw the trace as each method fills it, and the slice that results."""
    k = telling_slices().tulips
    result = scan("316L", k)
    assert result.truth is not None
    metal = result.volume.hu >= 2500
    study = SinogramStudy(result.volume, metal)
    before = study.before()
    view = View(result.volume.geometry, "axial")
    outside = view.cut(result.metal_fraction, 0) < 0.02
    truth = view.cut(result.truth.hu, 0)
    bins = np.flatnonzero(before.trace.any(axis=0))
    crop = np.s_[:, max(0, bins[0] - 60) : bins[-1] + 60]
    rays = grey(before.rays, 0, 9)
    box = close_up(k, margin_mm=75)
    methods = methods_at_hand()
    figure, axes = sheet(2, 3 + len(methods), aspect=1.0, width_in=14)
    show(axes[0, 0], rays[crop], "measured rays", aspect="auto")
    show(axes[0, 1], marked(rays, before.trace)[crop], "metal trace", aspect="auto")
    show(axes[1, 0], SOFT.apply(view.cut(result.volume.hu, 0))[box], _error(result, truth, outside))
    show(axes[1, 1], marked(SOFT.apply(truth), ~outside)[box], "where the metal is")
    for column, method in enumerate(methods, start=2):
        name = METHOD_TITLES[method]
        filled = grey(study.filled(method), 0, 9)
        show(axes[0, column], filled[crop], f"trace filled by {name}", aspect="auto")
        done = correct_volume(result.volume, method=method, metal_mask=metal).volume
        hu = view.cut(done.hu, 0)
        rmse = float(np.sqrt(((hu - truth)[outside] ** 2).mean()))
        show(axes[1, column], SOFT.apply(hu)[box], f"{name}, RMSE {rmse:.0f} HU")
    ideal = SinogramStudy(result.truth, metal).before().rays
    show(axes[0, -1], grey(ideal, 0, 9)[crop], "rays without metal", aspect="auto")
    show(axes[1, -1], SOFT.apply(truth)[box], "the same scan without metal")
    save(figure, folder / "trace-inpainting.jpg")


def _error(result, truth, outside) -> str:  # type: ignore[no-untyped-def]
    hu = View(result.volume.geometry, "axial").cut(result.volume.hu, 0)
    rmse = float(np.sqrt(((hu - truth)[outside] ** 2).mean()))
    return f"scan, RMSE {rmse:.0f} HU"
