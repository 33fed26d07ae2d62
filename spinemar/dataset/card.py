"""The data set's card: what it holds, how it was made, whose data, what it is not good for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spinemar.dataset.domains import FIELDS
from spinemar.dataset.encoding import INTEGRALS_PER_UNIT
from spinemar.dataset.layout import Spec, array_shape

_FIELD_FACTS = {
    "sinogram": "line integrals with metal (x)",
    "target": "line integrals without metal (y)",
    "prior": "line integrals of the tissue-class prior of NMAR",
    "metal_trace": "rays through metal",
    "lost_ray_trace": "rays through metal or through pixels that streaks drove out of range",
    "input": "uncorrected image, HU",
    "li": "corrected by linear interpolation, HU",
    "nmar": "corrected by NMAR, HU",
    "truth": "the same scan without metal, HU",
    "metal": "metal as segmented in the uncorrected image",
    "saturated": "pixels that streaks drove below the stored range",
}
_MIDDLE_SLICE = 1


_COLUMNS = (
    "index", "ct", "patient", "domain", "placement", "case", "materials", "fov_mm", "slice_mm",
    "lost_ray_share", "outside_rms",
)  # fmt: skip
_SCANNER_COLUMNS = ("kvp", "kernel", "hu_scale", "geometry", "photons_per_ray")


def card_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the card needs of a row: whole rows of a million pairs are gigabytes."""
    few: dict[str, Any] = {name: row[name] for name in _COLUMNS}
    few["scanner"] = {name: row["scanner"][name] for name in _SCANNER_COLUMNS}
    few["rmse_hu"] = {name: values[:1] for name, values in row["rmse_hu"].items()}
    return few


def card_text(
    spec: Spec,
    rows: Sequence[Mapping[str, Any]],
    patients: Mapping[str, str],
    store: Path,
) -> str:
    """Return the card as Markdown."""
    parts = [
        _head(spec, rows),
        _fields(spec),
        _counts(rows, patients),
        _ranges(rows),
        _sources(spec, patients),
        _reading(store),
        _limits(),
    ]
    return "\n".join(parts)


def _head(spec: Spec, rows: Sequence[Mapping[str, Any]]) -> str:
    return f"""# Spine CT with metal and without: {len(rows)} simulated training pairs

Made by SpineMAR {spec.software_version} with seed {spec.seed}. Real, metal-free CTs were reshaped,
implants put into them, and scanned twice by a simulated polychromatic scanner: once with metal,
once without, with the same noise in every ray. Pair n depends on the CTs, the settings
(`dataset.json`), the seed and n alone; `pairs.jsonl` says everything about each pair, plan,
scanner and seeds included.
"""


def _fields(spec: Spec) -> str:
    lines = ["## Arrays", "", "One Zarr v3 group; a pair is three adjacent slices.", ""]
    lines += ["| array | of a pair | holds |", "|---|---|---|"]
    for name in FIELDS:
        shape = " x ".join(map(str, array_shape(name, spec.settings)))
        lines.append(f"| `{name}` | {shape} | {_FIELD_FACTS[name]} |")
    lines += [
        "",
        f"Line integrals are int16 in steps of 1/{INTEGRALS_PER_UNIT}, images int16 HU, the rest "
        "boolean. View v looks along pi * v / views; bins are `bin_mm` wide, pixels `pixel_mm` "
        "(see the table). Shards are compressed (Zstandard) and checked (CRC-32C, SHA-256).",
        "",
        "*Post-acquisition* pairs are projections of stored images, as a correction of DICOM "
        "series meets them. *Raw* pairs are measured projections; outside `metal_trace` x and y "
        "are equal to the last bit.",
        "",
    ]
    return "\n".join(lines)


def _counts(rows: Sequence[Mapping[str, Any]], patients: Mapping[str, str]) -> str:
    lines = ["## Pairs", "", "| by | |", "|---|---|"]
    for name in ("domain", "placement", "case", "ct"):
        lines.append(f"| {name} | {_counted(str(row[name]) for row in rows)} |")
    lines.append(f"| set | {_counted(patients[row['patient']] for row in rows)} |")
    lines.append(f"| metal | {_counted('+'.join(row['materials']) for row in rows)} |")
    for name in ("kvp", "kernel", "hu_scale", "geometry"):
        lines.append(f"| {name} | {_counted(str(row['scanner'][name]) for row in rows)} |")
    return "\n".join([*lines, ""])


def _counted(values: Any) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(Counter(values).items()))


def _ranges(rows: Sequence[Mapping[str, Any]]) -> str:
    def spread(values: Sequence[float], digits: int = 1) -> str:
        low, middle, high = np.percentile(np.asarray(values, dtype=float), (5, 50, 95))
        return f"{low:.{digits}f} | {middle:.{digits}f} | {high:.{digits}f}"

    post = [row for row in rows if row["domain"] == "post"]
    raw = [row for row in rows if row["domain"] == "raw"]
    lines = ["| measured | 5 % | median | 95 % |", "|---|---|---|---|"]
    if rows:
        for title, values, digits in (
            ("field of view, mm", [row["fov_mm"] for row in rows], 0),
            ("slice thickness, mm", [row["slice_mm"] for row in rows], 2),
            (
                "photons per ray / 1000",
                [row["scanner"]["photons_per_ray"] / 1e3 for row in rows],
                0,
            ),
            (
                "lost rays of the middle slice, %",
                [100 * row["lost_ray_share"][_MIDDLE_SLICE] for row in rows],
                1,
            ),
            *(
                (f"RMSE of {name} outside metal, HU", [row["rmse_hu"][name][0] for row in rows], 0)
                for name in ("input", "li", "nmar")
            ),
        ):
            lines.append(f"| {title} | {spread(values, digits)} |")
    for title, chosen in (("post-acquisition", post), ("raw, before they are made equal", raw)):
        if chosen:
            values = [row["outside_rms"] for row in chosen]
            lines.append(f"| rms of x - y outside the traces, {title} | {spread(values, 4)} |")
    return "\n".join([*lines, ""])


def _sources(spec: Spec, patients: Mapping[str, str]) -> str:
    lines = ["## Sources", "", "| CT | patient | set | source |", "|---|---|---|---|"]
    for item in spec.inputs:
        who = f"{item.name} | {item.patient} | {patients[item.patient]}"
        lines.append(f"| {who} | {item.source or 'not stated'} |")
    lines += [
        "",
        "The images derive from these CTs: their licences and attributions go with every copy.",
        "",
    ]
    return "\n".join(lines)


def _reading(store: Path) -> str:
    return f"""## Reading

    from torch.utils.data import DataLoader
    from spinemar.dataset.store import PairStore

    pairs = PairStore("{store.name}", split="training")
    for batch in DataLoader(pairs, batch_size=4, shuffle=True):
        print(batch["sinogram"].shape, batch["target"].shape)

`spinemar dataset verify {store.name}` checks every byte.
"""


def _limits() -> str:
    return """## Limits

Simulated, not measured: no cone-beam effects, motion, dental or hip metal. Tissue carries the
noise of the CTs it came from. The anatomy of few people, however reshaped, stays that of few
people: judge a model on others.
"""
