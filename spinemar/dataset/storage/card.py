"""The data set's card: what it holds, how it was made, whose data, what it is not good for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from spinemar.dataset.pairs.encoding import INTEGRALS_PER_UNIT
from spinemar.dataset.storage.conventions import conventions_text
from spinemar.dataset.storage.layout import Spec, array_shape, stored_metals
from spinemar.dataset.storage.totals import Totals

_CORRECTED = ("input", "li", "nmar")
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
    "li_sinogram": "line integrals as linear interpolation bridges them",
    "metal_fraction": "the metal that is really there: share of each voxel, by metal",
    "earlier_ct": "the patient's CT from before the operation as a registration lays it, HU; air "
    "where there is none (`earlier_ct` of the row is null)",
}
_COUNTED = (
    "domain", "placement", "case", "ct", "set", "metal", "kvp", "kernel", "hu_scale", "geometry",
)  # fmt: skip
_MEASURED = (
    ("fov_mm", "field of view, mm", 1.0, 0),
    ("slice_mm", "slice thickness, mm", 1.0, 2),
    ("photons", "photons per ray / 1000", 1e-3, 0),
    ("lost_ray_share", "lost rays of the middle slice, %", 100.0, 1),
    *((f"rmse_{name}", f"RMSE of {name} outside metal, HU", 1.0, 0) for name in _CORRECTED),
    ("outside_rms_post", "rms of x - y outside the traces, post-acquisition", 1.0, 4),
    ("outside_rms_raw", "rms of x - y outside the traces, raw, before they are made equal", 1.0, 4),
)


def card_text(
    spec: Spec,
    totals: Totals,
    patients: Mapping[str, str],
    store: Path,
) -> str:
    """Return the card as Markdown.

    Parameters
    ----------
    spec : Spec
    totals : Totals
        Of all rows.
    patients : mapping of patient to split
    store : Path
    """
    parts = [
        _head(spec, len(totals)),
        _fields(spec),
        conventions_text(stored_metals(spec.version)),
        _counts(totals, patients),
        _ranges(totals),
        _sources(spec, patients),
        *_parts(spec),
        _reading(store),
        _limits(),
    ]
    return "\n".join(parts)


def _head(spec: Spec, pairs: int) -> str:
    return f"""# Spine CT with metal and without: {pairs} simulated training pairs

Made by SpineMAR {spec.software_version} with seed {spec.seed}. Real, metal-free CTs were reshaped,
implants put into them, and scanned twice by a simulated polychromatic scanner: once with metal,
once without, with the same noise in every ray. Pair n depends on the CTs, the settings
(`dataset.json`), the seed and n alone; `pairs.jsonl` says everything about each pair, plan,
scanner and seeds included.
"""


def _fields(spec: Spec) -> str:
    lines = ["## Arrays", "", "One Zarr v3 group; a pair is three adjacent slices.", ""]
    lines += ["| array | of a pair | holds |", "|---|---|---|"]
    for name in spec.fields:
        shape = " x ".join(map(str, array_shape(name, spec.settings, spec.version)))
        lines.append(f"| `{name}` | {shape} | {_FIELD_FACTS[name]} |")
    lines += [
        "",
        f"Line integrals are int16 in steps of 1/{INTEGRALS_PER_UNIT}, images int16 HU, fractions "
        "bytes in steps of 1/255, the rest boolean. Bins are `bin_mm` wide, pixels `pixel_mm` (see "
        "the table). Shards are compressed (Zstandard) and checked (CRC-32C, SHA-256).",
        "",
        "*Post-acquisition* pairs are projections of stored images, as a correction of DICOM "
        "series meets them. *Raw* pairs are measured projections; outside `metal_trace` x and y "
        "are equal to the last bit.",
        "",
    ]
    return "\n".join(lines)


def _counts(totals: Totals, patients: Mapping[str, str]) -> str:
    lines = ["## Pairs", "", "| by | |", "|---|---|"]
    sets: Counter[str] = Counter()
    for patient, numbers in totals.pairs.items():
        sets[patients[patient]] += len(numbers)
    for name in _COUNTED:
        counter = sets if name == "set" else totals.counts.get(name, Counter())
        counted = ", ".join(f"{value} {count}" for value, count in sorted(counter.items()))
        lines.append(f"| {name} | {counted} |")
    return "\n".join([*lines, ""])


def _ranges(totals: Totals) -> str:
    lines = ["| measured | 5 % | median | 95 % |", "|---|---|---|---|"]
    for name, title, factor, digits in _MEASURED:
        if values := totals.values.get(name):
            spread = np.percentile(np.frombuffer(values) * factor, (5, 50, 95))
            lines.append(f"| {title} | " + " | ".join(f"{v:.{digits}f}" for v in spread) + " |")
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


def _parts(spec: Spec) -> list[str]:
    """Name the stores that a merged one was put together from."""
    if not spec.merged_from:
        return []
    lines = ["## Merged from", "", "| store | pairs | seed | SpineMAR |", "|---|---|---|---|"]
    for part in spec.merged_from:
        last, made = part["first_pair"] + part["pairs"] - 1, part["dataset"]
        numbers = f"{part['first_pair']} to {last}"
        lines.append(
            f"| {part['store']} | {numbers} | {made['seed']} | {made['software_version']} |"
        )
    lines += ["", "`dataset.json` holds the settings of each (`merged_from`).", ""]
    return ["\n".join(lines)]


def _reading(store: Path) -> str:
    return f"""## Reading

    from torch.utils.data import DataLoader
    from spinemar.dataset.storage.reader import PairStore

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
