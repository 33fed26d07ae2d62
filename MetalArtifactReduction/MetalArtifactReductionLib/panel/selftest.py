"""What the self test works on: a drawn body with two screws and the shadow between them."""

import numpy as np

from SpineMARLib.nodes.volumes import setArray

FIELD_MM = 200.0


def drawnHu(slices=5, size=96):
    """Draw a body with metal in HU, int16, shape (slices, size, size).

    Beams harden in metal: rays through it lose in proportion to the square of its thickness.
    """
    from spinemar.tomography.radon import RadonTransform
    from spinemar.tomography.units import MU_WATER_PER_MM

    y, x = np.mgrid[:size, :size] - size / 2.0
    hu = np.full((slices, size, size), -1000.0)
    hu[:, (x / 42) ** 2 + (y / 30) ** 2 < 1] = 40
    metal = (np.hypot(x - 11, y - 8) < 3.5) | (np.hypot(x + 11, y - 8) < 3.5)
    radon = RadonTransform((size, size), (FIELD_MM / size, FIELD_MM / size))
    thicknessCm = radon.forward(metal[None].astype(np.float32)) / 10
    hu[1:-1] += radon.fbp(-0.35 * thicknessCm**2)[0] / MU_WATER_PER_MM * 1000
    hu[1:-1, metal] = 3071
    noise = np.random.default_rng(5).normal(0, 8, hu.shape)
    return np.clip(np.rint(hu + noise), -1024, 3071).astype(np.int16)


def drawnVolume(scene, name="Drawn body", slices=5, size=96):
    """Put the drawn body into a scene."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    setArray(node, drawnHu(slices, size))
    spacing = FIELD_MM / size
    node.SetSpacing(spacing, spacing, 2.5)
    node.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    node.SetOrigin(100, 100, 0)
    node.CreateDefaultDisplayNodes()
    return node
