"""A spine of boxes whose pedicles, canal and cortex are known exactly."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from spinemar.planning.plans.plan import Screw
from spinemar.spine.labels.levels import VERSE_IDS, level_range
from spinemar.spine.model import Endplate, PedicleFrame, SpineModel, VertebraFrame
from spinemar.volume import CTVolume, LabelVolume

# Boxes in vertebra coordinates (right, anterior, superior), mm: low and high corner.
BODY = ((-20.0, -13.0, -13.0), (20.0, 17.0, 13.0))
PEDICLE_X, PEDICLE_Z = (8.0, 16.0), (-3.0, 11.0)
PEDICLES = [
    ((PEDICLE_X[0], -34.0, PEDICLE_Z[0]), (PEDICLE_X[1], -12.0, PEDICLE_Z[1])),
    ((-PEDICLE_X[1], -34.0, PEDICLE_Z[0]), (-PEDICLE_X[0], -12.0, PEDICLE_Z[1])),
]
LAMINA = ((-16.0, -42.0, -3.0), (16.0, -33.0, 11.0))
BOXES = [BODY, *PEDICLES, LAMINA]
ISTHMUS = np.array([12.0, -22.0, 4.0])
ENTRY = np.array([12.0, -42.0, 4.0])
HEIGHT_MM = 32.0


def frame(level: str, axes: np.ndarray, centre: np.ndarray) -> VertebraFrame:
    def ras(local):
        return np.asarray(local, float) @ axes + centre

    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    canal = np.stack([8 * np.cos(angle), -23 + 9 * np.sin(angle), np.full(40, 4.0)], axis=1)
    pedicles = {}
    for side, sign in (("right", 1.0), ("left", -1.0)):
        flip = np.array([sign, 1.0, 1.0])
        pedicles[side] = PedicleFrame(
            side, ras(ISTHMUS * flip), ras(ENTRY * flip), axes[1], 8.0, 14.0, 1.0
        )
    return VertebraFrame(
        level, centre, axes,
        {"superior": Endplate(ras((0, 2, 13)), axes[2]),
         "inferior": Endplate(ras((0, 2, -13)), axes[2])},
        ras((0, -23, 4)), ras((0, -60, -5)), pedicles, 1.0, (), ras(canal),
    )  # fmt: skip


def build(spacing=(0.8, 0.8, 1.0), rotation=None, levels="L1", turn=None) -> SpineModel:
    """Label a phantom in a grid of some spacing and rotation; `turn` rotates the spine."""
    names = level_range(levels)
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) if rotation is None else rotation.as_matrix()) @ np.diag(spacing)
    axes = np.eye(3) if turn is None else turn.as_matrix().T
    tall = HEIGHT_MM * (len(names) - 1)
    reach = (
        np.array([60.0, 100.0, 60.0 + tall])
        if rotation is None and turn is None
        else (np.full(3, 110.0 + tall))
    )
    shape = np.ceil(reach / np.array(spacing)).astype(int)
    matrix[:3, 3] = np.array([5.0, -7.0, 3.0]) - matrix[:3, :3] @ (shape / 2)
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    ras = ijk @ matrix[:3, :3].T + matrix[:3, 3]
    labels = np.zeros(shape[::-1], dtype=np.int16)
    frames = []
    for n, name in enumerate(names):
        centre = np.array([5.0, 5.0, 3.0]) + (tall / 2 - HEIGHT_MM * n) * axes[2]
        local = (ras - centre) @ axes.T
        inside = np.zeros(ras.shape[:3], dtype=bool)
        for low, high in BOXES:
            inside |= ((local >= low) & (local < high)).all(axis=-1)
        labels[inside.transpose(2, 1, 0)] = VERSE_IDS[name]
        frames.append(frame(name, axes, centre))
    canal = np.array([f.canal_centre_ras for f in frames])
    return SpineModel(LabelVolume(labels, matrix), tuple(frames), canal)


def place(vertebra: VertebraFrame, side="right", shift=(0.0, 0.0, 0.0), length=45.0,
          diameter=5.0) -> Screw:  # fmt: skip
    """A screw along the pedicle's axis, displaced outwards, forwards and upwards."""
    flip = np.array([1.0 if side == "right" else -1.0, 1.0, 1.0])
    entry = vertebra.to_ras((ENTRY + np.array(shift)) * flip)
    tip = entry + length * vertebra.anterior
    return Screw(f"{vertebra.level}-{side}", vertebra.level, side, tuple(entry.tolist()),
                 tuple(tip.tolist()), diameter, length)  # fmt: skip


OBLIQUE = Rotation.from_euler("zyx", [14.0, -11.0, 9.0], degrees=True)
TURNED = Rotation.from_euler("zyx", [-8.0, 12.0, 17.0], degrees=True)


@pytest.fixture(scope="session")
def phantom():
    return build


@pytest.fixture(scope="session")
def screw_in():
    return place


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(((0.7, 0.7, 0.7), None, None), id="isotropic"),
        pytest.param(((0.8, 0.8, 2.5), None, None), id="anisotropic"),
        pytest.param(((0.8, 0.8, 2.5), None, TURNED), id="turned-spine"),
        pytest.param(((0.8, 0.8, 1.5), OBLIQUE, None), id="oblique-grid"),
    ],
)
def grid_phantom(request):
    spacing, rotation, turn = request.param
    return build(spacing, rotation, "L1", turn), spacing


@pytest.fixture(scope="session")
def column():
    return build((0.9, 0.9, 1.5), None, "T11-L2")


@pytest.fixture(scope="session")
def column_ct(column):
    rng = np.random.default_rng(3)
    hu = np.where(column.labels.labels > 0, 250.0, 40.0) + rng.normal(
        0, 15, column.labels.labels.shape
    )
    return CTVolume(hu.astype(np.float32), column.labels.ijk_to_ras)
