"""Whether the intervals hold, and what their errors are set by: training patients' scans alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spinemar.postop.grades import MOST
from Testing.benchmarks.postop.score import CASES, Row
from Testing.benchmarks.postop.tallies import graded, is_certain, is_exact, share

TRAINING = ("crlm_1004", "acrin_flt_breast_001_abd")
"""Patients that the intervals may be set on."""


def calibration(rows: Sequence[Row]) -> str:
    """Return a table of the errors of the breach, and of the intervals that hold the truth."""
    lines = ["| bone from | screws | breach too low by, mm | RMS error, mm | of it bone, mm | "
             "taken for it, mm | truth inside the interval | certain | of them exact |",
             f"|{'---|' * 9}"]  # fmt: skip
    for case in CASES:
        own = graded([row for row in rows if row.case == case])
        if not own:
            continue
        off = np.array([row.true_breach - row.breach for row in own])
        fit = np.array([row.fit_error for row in own])
        taken = np.array([row.bone_error for row in own])
        held = np.abs(off) <= MOST * np.hypot(fit, taken)
        rms = float(np.sqrt(np.mean(off**2)))
        bone = float(np.sqrt(max(np.mean(off**2) - np.mean(fit**2), 0.0)))
        certain = [row for row in own if is_certain(row)]
        lines.append(
            f"| {case} | {len(own)} | {off.mean():.2f} | {rms:.2f} | {bone:.2f} | "
            f"{np.median(taken):.2f} | {100 * held.mean():.0f} % | {len(certain)} | "
            f"{share(certain, is_exact):.0f} % |"
        )
    return "\n".join([*lines, ""])
