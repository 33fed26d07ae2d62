"""What self tests plan on: a spine of boxes whose pedicles and canal are known exactly."""

import numpy as np
import slicer

from spinemar.spine.labels.levels import VERSE_IDS, level_range
from spinemar.spine.model import Endplate, PedicleFrame, SpineModel, VertebraFrame
from spinemar.volume import LabelVolume
from SpineMARLib.nodes.volumes import setArray

# Boxes in vertebra coordinates (right, anterior, superior), mm: low and high corner.
_BODY = ((-20.0, -13.0, -13.0), (20.0, 17.0, 13.0))
_PEDICLES = (((8.0, -34.0, -3.0), (16.0, -12.0, 11.0)), ((-16.0, -34.0, -3.0), (-8.0, -12.0, 11.0)))
_LAMINA = ((-16.0, -42.0, -3.0), (16.0, -33.0, 11.0))
_ISTHMUS, _ENTRY = np.array([12.0, -22.0, 4.0]), np.array([12.0, -42.0, 4.0])
_HEIGHT_MM = 32.0


def drawnSpine(levels="T12-L2", spacing=(1.0, 1.0, 2.0)):
    """Return a `SpineModel` of boxes; pedicles are 8 mm wide and 14 mm high."""
    names = level_range(levels)
    tall = _HEIGHT_MM * (len(names) - 1)
    shape = np.ceil(np.array([80.0, 110.0, 70.0 + tall]) / np.array(spacing)).astype(int)
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = -matrix[:3, :3] @ (shape / 2)
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    ras = ijk @ matrix[:3, :3].T + matrix[:3, 3]
    labels = np.zeros(shape[::-1], np.int16)
    frames = []
    for n, name in enumerate(names):
        centre = np.array([0.0, 12.0, tall / 2 - _HEIGHT_MM * n])
        local = ras - centre
        inside = np.zeros(ras.shape[:3], bool)
        for low, high in (_BODY, *_PEDICLES, _LAMINA):
            inside |= ((local >= low) & (local < high)).all(axis=-1)
        labels[inside.transpose(2, 1, 0)] = VERSE_IDS[name]
        frames.append(_frame(name, centre))
    canal = np.array([frame.canal_centre_ras for frame in frames])
    return SpineModel(LabelVolume(labels, matrix), tuple(frames), canal)


def _frame(level, centre):
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    canal = np.stack([8 * np.cos(angle), -23 + 9 * np.sin(angle), np.full(40, 4.0)], axis=1)
    pedicles = {}
    for side, sign in (("right", 1.0), ("left", -1.0)):
        flip = np.array([sign, 1.0, 1.0])
        pedicles[side] = PedicleFrame(
            side,
            centre + _ISTHMUS * flip,
            centre + _ENTRY * flip,
            np.array([0.0, 1.0, 0.0]),
            8.0,
            14.0,
            1.0,
        )
    up = np.array([0.0, 0.0, 1.0])
    return VertebraFrame(
        level,
        centre,
        np.eye(3),
        {
            "superior": Endplate(centre + np.array([0, 2, 13]), up),
            "inferior": Endplate(centre + np.array([0, 2, -13]), up),
        },
        centre + np.array([0, -23, 4]),
        centre + np.array([0, -60, -5]),
        pedicles,
        1.0,
        (),
        centre + canal,
    )


def drawnCt(scene, spine, name="Drawn spine"):
    """Put a CT of the drawn spine into a scene: bone in muscle in air."""
    labels = spine.labels.labels
    k, j, i = labels.shape
    y, x = np.mgrid[:j, :i]
    body = ((x - i / 2) / (0.48 * i)) ** 2 + ((y - j / 2) / (0.48 * j)) ** 2 < 1
    hu = np.where(body, 45.0, -1000.0) * np.ones((k, 1, 1))
    fat = body & (((x - i / 2) / (0.43 * i)) ** 2 + ((y - j / 2) / (0.43 * j)) ** 2 > 1)
    hu[:, fat] = -100.0
    hu[labels > 0] = 320.0
    hu += np.random.default_rng(4).normal(0, 10, hu.shape)
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    setArray(node, np.rint(hu).astype(np.int16))
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(np.array(spine.labels.ijk_to_ras)))
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(1500, 300)
    return node
