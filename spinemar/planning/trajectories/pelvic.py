"""Ways of screws into the ilium: S2-alar-iliac, and iliac ones from the posterior superior spine.

References
----------
S2-alar-iliac: entry between the first two dorsal foramina and beside them, 40 degrees outwards and
20 to 40 towards the feet, to above the greater sciatic notch and towards the anterior inferior
spine, 70 to 100 mm long (Sponseller et al., Spine 2010; Chang et al., Spine 2009; O'Brien et al.,
Spine 2009). Iliac: entry at the posterior superior spine, about 25 degrees outwards, 80 to 100 mm
(Schwend et al., Spine 2003; Lehman et al., Spine 2003). Diameters 7.5 to 9.5 mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinemar.implants.catalogue import ScrewModel
from spinemar.implants.shapes.solids import FloatArray
from spinemar.planning.grades.pelvic_bone import HIP, JOINT_MM, PelvicField
from spinemar.planning.trajectories.search import Trajectory, apart
from spinemar.spine.model import VertebraFrame

_STEP_MM, _LONGEST_MM = 1.5, 110.0
#: The screw is thinner at its entry and leaves the bone there: looked at from here on, mm.
_ENTRY_MM = 12.0
#: Bone that is left before the tip; more beside the shank than this is as good.
_TIP_GAP_MM, _ENOUGH_MM = 5.0, 3.0
#: Distances that are kept from the notch and from the joint of the hip, mm.
_NOTCH_MM, _JOINT_MM = 8.0, 5.0
#: Shortest way within the ilium, mm.
_LEAST_IN_HIP_MM = 30.0
#: Bone that is left beside a screw where its diameter is chosen, mm.
_MARGIN_MM = 1.5
_ROUNDS, _PARENTS, _CHILDREN = 4, 30, 400
_REACH = (6.0, 4.0, 2.0, 2.0)
_APART, _OFFERS = (4.0, 5.0), 4


@dataclass(frozen=True)
class Course:
    """Where a kind of screw enters and where it aims.

    Parameters
    ----------
    beside_mm, below_mm : (float, float)
        Where it enters, from the middle of the plate of S1 along its axes; for iliac screws from
        the posterior superior spine.
    outwards_deg : float
        Usual angle to the sagittal plane.
    from_spine : bool
        Whether the entry is told from the posterior superior iliac spine.
    """

    beside_mm: tuple[float, float]
    below_mm: tuple[float, float]
    outwards_deg: float
    from_spine: bool


COURSE = {
    "S2AI": Course((21.0, 31.0), (50.0, 66.0), 40.0, from_spine=False),
    "iliac": Course((-6.0, 6.0), (-8.0, 8.0), 25.0, from_spine=True),
}
#: Lateral and sagittal angles that are tried, against the plate of S1.
_OUTWARDS_DEG = np.arange(10.0, 62.0, 4.0)
_UPWARDS_DEG = np.arange(-36.0, 28.0, 4.0)


def pelvic_trajectories(
    field: PelvicField, side: str, course: str, model: ScrewModel
) -> tuple[Trajectory, ...]:
    """Search one side of the pelvis for ways of a screw; the best first, always the same.

    Parameters
    ----------
    field : PelvicField
    side : str
    course : str
        A key of `COURSE`.
    model : ScrewModel

    Returns
    -------
    tuple of Trajectory
        Empty where there is no way that ends in the ilium.
    """
    search = _Search.of(field, side, course, model)
    if search is None:
        return ()
    rng = np.random.default_rng(0)  # one seed: the same trajectories every time
    candidates = search.lattice()
    totals = search.totals(candidates)
    for round_ in range(_ROUNDS):
        parents = candidates[np.argsort(-totals)[:_PARENTS]]
        chosen = parents[rng.integers(len(parents), size=_CHILDREN)]
        children = chosen + rng.normal(size=chosen.shape) * np.array(_REACH) / 2.0**round_
        candidates = np.concatenate([candidates, children])
        totals = np.concatenate([totals, search.totals(children)])
    return search.distinct(candidates, totals)


@dataclass(frozen=True)
class _Search:
    """Candidates (n, 4): angle outwards and upwards in degrees, entry to the side and upwards."""

    field: PelvicField
    side: str
    course: Course
    model: ScrewModel
    origin: FloatArray

    @classmethod
    def of(cls, field: PelvicField, side: str, course: str, model: ScrewModel) -> _Search | None:
        if not (field.parts == HIP[side]).any():
            return None
        kind = COURSE[course]
        origin = field.frame.to_local(field.frame.endplates["superior"].point_ras)
        if kind.from_spine:
            origin = _posterior_spine(field, side)
        return cls(field, side, kind, model, origin)

    @property
    def sign(self) -> float:
        """+1 for the right side, -1 for the left."""
        return 1.0 if self.side == "right" else -1.0

    def lattice(self) -> FloatArray:
        """First candidates."""
        beside = np.linspace(*self.course.beside_mm, 4)
        below = np.linspace(*self.course.below_mm, 6)
        grid = np.meshgrid(_OUTWARDS_DEG, _UPWARDS_DEG, beside, -below, indexing="ij")
        return np.stack(grid, axis=-1).reshape(-1, 4)

    def ways(self, candidates: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Local entries on the bone's back (NaN where there is none), and unit directions."""
        x = self.origin[0] + self.sign * candidates[:, 2]
        z = self.origin[2] + candidates[:, 3]
        y = np.arange(self.field.first_local[1], 10.0, 1.0)
        shape = (len(candidates), len(y))
        rays = np.stack(
            [
                np.broadcast_to(x[:, None], shape),
                np.broadcast_to(y, shape),
                np.broadcast_to(z[:, None], shape),
            ],
            axis=-1,
        )
        depth = self.field.distance_local_mm(rays)
        bone = depth < 0.0
        first = bone.argmax(axis=1)
        rows = np.arange(len(candidates))
        share = depth[rows, first] / np.minimum(depth[rows, first] - depth[rows, first - 1], -1e-6)
        at = np.where(bone.any(axis=1) & (first > 0), y[first] - share, np.nan)
        entries = np.stack([x, at, z], axis=1)
        out, up = np.radians(candidates[:, 0]), np.radians(candidates[:, 1])
        along = np.stack(
            [self.sign * np.sin(out) * np.cos(up), np.cos(out) * np.cos(up), np.sin(up)], axis=1
        )
        return entries, along

    def totals(self, candidates: FloatArray) -> FloatArray:
        """Return the scores, -inf where no screw fits."""
        return self.judged(candidates)[0]

    def judged(self, candidates: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Scores, lengths and least depths of the axes below the bone's surface."""
        entries, along = self.ways(candidates)
        t = np.arange(0.0, _LONGEST_MM, _STEP_MM)
        points = np.nan_to_num(entries, nan=999.0)[:, None] + t[:, None] * along[:, None]
        depth = -self.field.distance_local_mm(points)
        later = t > _ENTRY_MM
        out = (depth <= 0.0) & later
        leaves = np.where(out.any(axis=1), t[out.argmax(axis=1)], _LONGEST_MM)
        sizes = np.array(self.model.lengths_mm)
        place = np.searchsorted(sizes, leaves - _TIP_GAP_MM, side="right") - 1
        length = np.where(place >= 0, sizes[np.maximum(place, 0)], 0.0)
        held = later & (t <= length[:, None] - 3.0)
        least = np.where(held, depth, np.inf).min(axis=1)
        hip = self.field.part_at(points) == HIP[self.side]
        in_hip = (hip & (t <= length[:, None])).sum(axis=1) * _STEP_MM
        radius = min(self.model.diameters_mm) / 2
        margin = np.minimum((least - radius) / _ENOUGH_MM, 1.0)
        total = 0.5 * np.where(margin >= 0, margin, 3.0 * margin)
        total += 0.25 * np.clip((length - 50.0) / 40.0, 0.0, 1.0)
        total += 0.15 * self._aim(along) + 0.1 * self._place(candidates)
        total += self._near(points, t <= length[:, None])
        usable = np.isfinite(entries).all(axis=1) & (length > 0) & (in_hip >= _LEAST_IN_HIP_MM)
        return np.where(usable, total, -np.inf), length, least

    def _aim(self, along: FloatArray) -> FloatArray:
        outwards = np.degrees(np.arcsin(np.clip(self.sign * along[:, 0], -1.0, 1.0)))
        off = np.abs(outwards - self.course.outwards_deg)
        return np.asarray(1.0 - np.maximum(off - 5.0, 0.0) / 15.0)

    def _place(self, candidates: FloatArray) -> FloatArray:
        """Return how near to the middle of the usual entries, 1 at it."""
        half = [(b - a) / 2 for a, b in (self.course.beside_mm, self.course.below_mm)]
        middle = [sum(self.course.beside_mm) / 2, -sum(self.course.below_mm) / 2]
        off = np.abs(candidates[:, 2:] - middle) / half
        # Beyond what is usual it costs ever more.
        return np.asarray(1.0 - (off**2).sum(axis=1) / 2)

    def _near(self, points: FloatArray, held: NDArray[np.bool_]) -> FloatArray:
        """Return what it costs to come near the notch or the joint of the hip."""
        cost = np.zeros(len(points))
        radius = max(self.model.diameters_mm) / 2
        head, notch = self.field.heads.get(self.side), self.field.notches.get(self.side)
        if head is not None:
            gap = np.linalg.norm(points - head[:3], axis=-1) - head[3] - JOINT_MM - radius
            cost -= np.maximum(_JOINT_MM - np.where(held, gap, np.inf).min(axis=1), 0.0) / 5.0
        if notch is not None:
            gap = np.linalg.norm(points - notch, axis=-1) - radius
            cost -= np.maximum(_NOTCH_MM - np.where(held, gap, np.inf).min(axis=1), 0.0) / 5.0
        return cost

    def distinct(self, candidates: FloatArray, totals: FloatArray) -> tuple[Trajectory, ...]:
        """Return the best ways that differ from one another."""
        order = np.argsort(-totals)
        order = order[np.isfinite(totals[order])][:400]
        scores, lengths, least = self.judged(candidates[order])
        entries, along = self.ways(candidates[order])
        return tuple(
            self._trajectory(
                candidates[order[n]], entries[n], along[n], (scores[n], lengths[n], least[n])
            )
            for n in apart(entries, along, _OFFERS, _APART)
        )

    def _trajectory(
        self,
        candidate: FloatArray,
        entry: FloatArray,
        along: FloatArray,
        found: tuple[float, float, float],
    ) -> Trajectory:
        score, length, least = found
        diameter = self.model.diameter_for(2.0 * (least - _MARGIN_MM))
        diameter = min(self.model.diameters_mm) if diameter is None else diameter
        frame: VertebraFrame = self.field.frame
        return Trajectory(
            entry=frame.to_ras(entry),
            tip=frame.to_ras(entry + length * along),
            diameter_mm=diameter,
            length_mm=float(length),
            score=float(score),
            terms={},
            margin_mm=float(least - diameter / 2),
            convergence_deg=-float(candidate[0]),
            sagittal_deg=float(candidate[1]),
        )


def _posterior_spine(field: PelvicField, side: str) -> FloatArray:
    """Local place of the posterior superior iliac spine: the rearmost of the hip, beside S1 and S2.

    Backwards is the patient's: the plate of S1 leans.
    """
    i, j, k = np.nonzero(field.parts == HIP[side])
    local = field.first_local + field.step_mm * np.stack([i, j, k], axis=1)
    ras = field.frame.to_ras(local)
    plate = field.frame.endplates["superior"].point_ras
    beside = (ras[:, 2] > plate[2] - 35.0) & (ras[:, 2] < plate[2] + 20.0)
    local, ras = local[beside], ras[beside]
    rear = ras[:, 1] <= ras[:, 1].min() + 3.0
    return np.asarray(local[rear].mean(axis=0))
