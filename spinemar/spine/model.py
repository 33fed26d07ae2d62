"""What the segmentation of a spine yields: labels, and a frame for every vertebra.

All points are RAS millimetres. The frames survive a JSON round trip bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinemar.errors import InputError
from spinemar.spine.labels.boxes import Box, label_boxes
from spinemar.spine.labels.levels import (
    GUESSED_LEVELS,
    SACRUM,
    UNCONFIRMED_LEVELS,
    VERSE_IDS,
    WITHOUT_FRAME,
)
from spinemar.volume import LabelVolume

#: Below this confidence a vertebra or a pedicle is reported as uncertain.
CONFIDENT = 0.5

FloatArray = NDArray[np.float64]


def _frozen(values: ArrayLike, shape: tuple[int | None, ...], what: str) -> FloatArray:
    array = np.array(values, dtype=np.float64)
    fits = array.ndim == len(shape) and all(
        wanted is None or wanted == got for wanted, got in zip(shape, array.shape, strict=True)
    )
    if not fits or not np.isfinite(array).all():
        raise InputError(
            f"The {what} of a spine frame is not a finite array of shape {shape}.",
            "Write the frames again with SpineMAR.",
        )
    array.setflags(write=False)
    return array


@dataclass(frozen=True, eq=False)
class Endplate:
    """A plane fitted to an endplate.

    Parameters
    ----------
    point_ras : array-like, shape (3,)
        Its centre.
    normal_ras : array-like, shape (3,)
        Unit vector towards the head (for both endplates).
    """

    point_ras: FloatArray
    normal_ras: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "point_ras", _frozen(self.point_ras, (3,), "endplate"))
        object.__setattr__(self, "normal_ras", _frozen(self.normal_ras, (3,), "endplate"))


@dataclass(frozen=True, eq=False)
class PedicleFrame:
    """One pedicle.

    Parameters
    ----------
    side : str
        "left" or "right", the patient's.
    isthmus_ras : array-like, shape (3,)
        Centre of the narrowest cross-section.
    entry_ras : array-like, shape (3,)
        Where the pedicle's centre line leaves the bone at the back.
    axis_ras : array-like, shape (3,)
        Unit vector along the centre line, from the entry towards the body.
    width_mm, height_mm : float
        Inner extent of the isthmus across and along the spine.
    confidence : float
        Between 0 and 1.
    """

    side: str
    isthmus_ras: FloatArray
    entry_ras: FloatArray
    axis_ras: FloatArray
    width_mm: float
    height_mm: float
    confidence: float

    def __post_init__(self) -> None:
        if self.side not in {"left", "right"}:
            raise InputError(
                f"A pedicle lies left or right, not '{self.side}'.",
                "Write the frames again with SpineMAR.",
            )
        for name in ("isthmus_ras", "entry_ras", "axis_ras"):
            object.__setattr__(self, name, _frozen(getattr(self, name), (3,), name))


@dataclass(frozen=True, eq=False)
class Agreement:
    """How well the labels of one vertebra agree with the CT; None is what could not be measured.

    Parameters
    ----------
    offset_mm : array-like, shape (3,), or None
        How far the labels lie off the bone, RAS.
    growth_mm : float or None
        How much too large all round (negative: too small) they are.
    border_share : float or None
        Share of their border that lies on an edge of bone.
    shell_hu, core_hu, canal_hu : float or None
        Means of the outer 2 mm, of the trabecular bone in the body's middle, and of the canal's
        middle.
    doubts : tuple of str
        What speaks against the labels, in whole sentences; empty where they agree.
    """

    offset_mm: FloatArray | None = None
    growth_mm: float | None = None
    border_share: float | None = None
    shell_hu: float | None = None
    core_hu: float | None = None
    canal_hu: float | None = None
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.offset_mm is not None:
            object.__setattr__(self, "offset_mm", _frozen(self.offset_mm, (3,), "offset"))
        object.__setattr__(self, "doubts", tuple(self.doubts))


@dataclass(frozen=True, eq=False)
class VertebraFrame:
    """Place, axes and pedicles of one vertebra.

    Parameters
    ----------
    level : str
        Such as "L1".
    body_centre_ras : array-like, shape (3,)
    axes_ras : array-like, shape (3, 3)
        Rows: unit vectors to the patient's right, anterior, superior, along the vertebra's axes.
    endplates : mapping of str to Endplate
        "superior" and "inferior"; S1, which is fused with what lies below, has the first alone.
    canal_centre_ras : array-like, shape (3,)
        Centre of the canal at the height of the pedicles.
    spinous_process_ras : array-like, shape (3,), or None
        Its tip.
    pedicles : mapping of str to PedicleFrame
        "left" and "right", each only where it was found.
    confidence : float
        Between 0 and 1; below `CONFIDENT` do not trust it without looking.
    warnings : tuple of str
        What is uncertain, in whole sentences.
    canal_contour_ras : array-like, shape (n, 3)
        Closed contour of the canal in the plane of the pedicles; empty where unknown.
    cut_off : bool
        Whether the volume's edge cuts the body.
    agreement : Agreement or None
        What the comparison of its labels with the CT says; None where there was no CT.
    level_doubt : str
        What speaks against its name, as a sentence; "" where nothing does.
    seen_endplates : mapping of str to Endplate
        Those endplates whose edge the CT shows, fitted to it: angles are measured between them.
    """

    level: str
    body_centre_ras: FloatArray
    axes_ras: FloatArray
    endplates: Mapping[str, Endplate]
    canal_centre_ras: FloatArray
    spinous_process_ras: FloatArray | None
    pedicles: Mapping[str, PedicleFrame]
    confidence: float
    warnings: tuple[str, ...] = ()
    canal_contour_ras: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))
    cut_off: bool = False
    agreement: Agreement | None = None
    level_doubt: str = ""
    seen_endplates: Mapping[str, Endplate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shapes: dict[str, tuple[int | None, ...]] = {
            "body_centre_ras": (3,),
            "axes_ras": (3, 3),
            "canal_centre_ras": (3,),
            "canal_contour_ras": (None, 3),
        }
        if self.spinous_process_ras is not None:
            shapes["spinous_process_ras"] = (3,)
        for name, shape in shapes.items():
            object.__setattr__(self, name, _frozen(getattr(self, name), shape, name))
        object.__setattr__(self, "endplates", MappingProxyType(dict(self.endplates)))
        object.__setattr__(self, "seen_endplates", MappingProxyType(dict(self.seen_endplates)))
        object.__setattr__(self, "pedicles", MappingProxyType(dict(self.pedicles)))
        object.__setattr__(self, "warnings", tuple(self.warnings))

    @property
    def right(self) -> FloatArray:
        """Unit vector to the patient's right."""
        axis: FloatArray = self.axes_ras[0]
        return axis

    @property
    def anterior(self) -> FloatArray:
        """Unit vector to the front."""
        axis: FloatArray = self.axes_ras[1]
        return axis

    @property
    def superior(self) -> FloatArray:
        """Unit vector to the head."""
        axis: FloatArray = self.axes_ras[2]
        return axis

    @property
    def level_confirmed(self) -> bool:
        """Whether the CT, or whoever states the levels, bears its name out."""
        return not {GUESSED_LEVELS, UNCONFIRMED_LEVELS} & set(self.warnings)

    def endplate(self, name: str) -> Endplate | None:
        """Return an endplate as the CT shows it, else as the labels have it; None without."""
        return self.seen_endplates.get(name) or self.endplates.get(name)

    def to_local(self, ras: ArrayLike) -> FloatArray:
        """Map RAS mm (..., 3) to (right, anterior, superior) mm from the body's centre."""
        return (np.asarray(ras, dtype=np.float64) - self.body_centre_ras) @ self.axes_ras.T

    def to_ras(self, local: ArrayLike) -> FloatArray:
        """Map (right, anterior, superior) mm from the body's centre (..., 3) to RAS mm."""
        return np.asarray(local, dtype=np.float64) @ self.axes_ras + self.body_centre_ras


@dataclass(frozen=True, eq=False)
class FemoralHead:
    """A femoral head, as a sphere.

    Parameters
    ----------
    side : str
        "left" or "right", the patient's.
    centre_ras : array-like, shape (3,)
    radius_mm : float
    residual_mm : float
        How far the rim that was seen lies off the sphere (root mean square).
    """

    side: str
    centre_ras: FloatArray
    radius_mm: float
    residual_mm: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "centre_ras", _frozen(self.centre_ras, (3,), "femoral head"))


@dataclass(frozen=True, eq=False)
class SpineModel:
    """A segmented spine.

    Parameters
    ----------
    labels : LabelVolume
        VerSe numbers (`levels.VERSE_IDS`) on the CT's grid.
    vertebrae : tuple of VertebraFrame
        From head to foot.
    canal_ras : array-like, shape (n, 3)
        Centre line of the canal, from head to foot.
    femoral_heads : tuple of FemoralHead
        Left and right; empty where they were not found.
    heads_doubt : str
        Why not, as a sentence; "" where nobody looked for them.
    pelvis : LabelVolume or None
        Hips and lower sacrum of the segmentation that it was made from (`pelvic_parts`), on any
        grid; None where there are none.
    """

    labels: LabelVolume
    vertebrae: tuple[VertebraFrame, ...]
    canal_ras: FloatArray
    femoral_heads: tuple[FemoralHead, ...] = ()
    heads_doubt: str = ""
    pelvis: LabelVolume | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "vertebrae", tuple(self.vertebrae))
        object.__setattr__(self, "canal_ras", _frozen(self.canal_ras, (None, 3), "canal"))
        object.__setattr__(self, "femoral_heads", tuple(self.femoral_heads))

    @cached_property
    def boxes(self) -> dict[int, Box]:
        """Where each label lies: looked for once."""
        return label_boxes(self.labels.labels)

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels that have a frame, from head to foot."""
        return tuple(vertebra.level for vertebra in self.vertebrae)

    def vertebra(self, level: str) -> VertebraFrame:
        """Return the frame of one level.

        Raises
        ------
        InputError
            If that level was not found in this volume.
        """
        for vertebra in self.vertebrae:
            if vertebra.level == level:
                return vertebra
        if VERSE_IDS.get(level) in self.boxes:
            raise InputError(
                f"{level} is labelled, but "
                + ("is not measured." if level in WITHOUT_FRAME else _unmeasured(level)),
                f"Levels that can be planned: {', '.join(self.levels) or 'none'}.",
            )
        raise InputError(
            f"{level} was not found in this volume.",
            f"Levels found: {', '.join(self.levels) or 'none'}.",
        )


def _unmeasured(level: str) -> str:
    reason = "could not be measured: its body is not seen well enough"
    return f"{reason}, or there is no L5 above it." if level == SACRUM else f"{reason}."
