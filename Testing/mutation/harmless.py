"""Faults that change no result: each is named with its reason, shown, and not counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Harmless:
    """One of them.

    Parameters
    ----------
    path : str
        Of the file, from the root.
    before, after : str
        What the line says without and with it, spaces as one.
    why : str
    """

    path: str
    before: str
    after: str
    why: str


HARMLESS: tuple[Harmless, ...] = (
    Harmless(
        "spinemar/implants/voxelize.py",
        "for start in range(0, len(cells), _MOST_POINTS // 8):",
        "for start in range(0, len(cells), _MOST_POINTS // 9):",
        "parts overlap then, and cells are filled twice with the same",
    ),
    Harmless(
        "spinemar/implants/voxelize.py",
        "block = np.maximum(np.round(_BLOCK_MM / np.array(self.grid.spacing_mm)), 1).astype(int)",
        "block = np.maximum(np.round(_BLOCK_MM // np.array(self.grid.spacing_mm)), 1).astype(int)",
        "how many voxels are looked at together, not which",
    ),
    Harmless(
        "spinemar/implants/voxelize.py",
        "if step == len(splits):",
        "if step >= len(splits):",
        "the steps are counted up to this number",
    ),
    Harmless(
        "spinemar/implants/voxelize.py",
        "decided = np.abs(value) >= _half_diagonal(self.grid, size)",
        "decided = np.abs(value) > _half_diagonal(self.grid, size)",
        "a cell that just touches the surface is split once more, to the same share",
    ),
    Harmless(
        "spinemar/implants/voxelize.py",
        "return np.clip(filled, 0.0, 1.0)",
        "return np.clip(filled, -1.0, 1.0)",
        "shares are added up from zero: none is negative",
    ),
    Harmless(
        "spinemar/planning/grades/bone.py",
        "signed -= ndimage.distance_transform_edt(mask, spacing) if not mask.all() else 0.0",
        "signed -= ndimage.distance_transform_edt(mask, spacing) if not mask.all() else -1.0",
        "a volume that is one bone to its edges has no surface either way",
    ),
    Harmless(
        "spinemar/tomography/raw_data/helical.py",
        "slack = 1e-6 * helix.feed_mm",
        "slack = 1e-6 % helix.feed_mm",
        "a millionth of a millimetre or of a feed: both only forgive rounding",
    ),
    Harmless(
        "spinemar/tomography/nufft.py",
        "spread_sort=0 if self._threads == 1 else 2,",
        "spread_sort=0 if self._threads > 1 else 2,",
        "the order in which points are spread: another speed, the same sums but for rounding",
    ),
    Harmless(
        "spinemar/io/dicom/kind.py",
        'return str(UID(sop_class, config.IGNORE).name).removesuffix(" Storage")[:64]',
        'return str(UID(sop_class, config.IGNORE).name).removesuffix(" Storage")[: 63]',
        "how much of a strange name a message repeats",
    ),
    Harmless(
        "spinemar/io/headers/nrrd.py",
        "position = len(start) if end < 0 else end + 1",
        "position = len(start) if end < 1 else end + 1",
        "a header begins with NRRD, so no line ends before its first letter",
    ),
    Harmless(
        "spinemar/io/study.py",
        "header = read_plain_header(choose_series(source, series).files[0].path)",
        "header = read_plain_header(choose_series(source, series).files[ -1].path)",
        "every slice of a series says whose it is",
    ),
    Harmless(
        "spinemar/tomography/radon.py",
        "if len(pairs) > 1 and self.threads > 1:",
        "if len(pairs) == 1 and self.threads > 1:",
        "who works, not what comes of it",
    ),
    Harmless(
        "spinemar/tomography/radon.py",
        "eps: float = 1e-4,",
        "eps: float = -0.9999,",
        "transforms are then as exact as they can be",
    ),
    Harmless(
        "spinemar/tomography/raw_data/sinogram.py",
        "result[k] = fan_to_parallel(turn[0], geometry.fan, parallel)",
        "result[k] = fan_to_parallel(turn[ -1], geometry.fan, parallel)",
        "a turn is made for one slice at a time",
    ),
    Harmless(
        "spinemar/mar/inpainters/learned/sinogram_network.py",
        "@dataclass(frozen=True)",
        "@dataclass(frozen=False)",
        "a guard against code that would change a record; none does",
    ),
    Harmless(
        "spinemar/mar/inpainters/learned/generator.py",
        "if factor == 1:",
        "if factor == 0:",
        "of as many views as there are, the sum below is those views",
    ),
    Harmless(
        "spinemar/mar/pipeline/gate.py",
        "if features.trace_share == 0.0:",
        "if features.trace_share <= 0.0:",
        "no share is negative",
    ),
)


def why_harmless(path: str, before: str, after: str) -> str | None:
    """Return why a fault changes nothing; None where it may."""
    for one in HARMLESS:
        if (one.path, one.before, one.after) == (path, before, after):
            return one.why
    return None
