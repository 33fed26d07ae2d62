"""Bone and metal of a scan in 3-D, as a surgeon turns them on the screen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.volume import CTVolume

BONE_HU = 230.0
_BONE_COLOUR, _METAL_COLOUR = (0.93, 0.87, 0.75), (0.35, 0.55, 0.80)
_MARGIN_MM = 11.0
_SMALLEST_PART = 400
_STEP_MM = 0.7


def bone_and_metal(
    volume: CTVolume, metal: NDArray[np.bool_], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Render everything above 230 HU around the metal, from behind and a little above.

    Parameters
    ----------
    volume : CTVolume
        Slices along k.
    metal : ndarray of bool, shape (k, j, i)
        Drawn blue; the picture is centred on it, so that renderings can be compared.
    size : (width, height) in pixels

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
    """
    import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  (before anything that is drawn)
    from vtkmodules.vtkRenderingCore import vtkRenderer

    box, spacing = _box(metal, volume), np.array(volume.geometry.spacing_mm[::-1])
    zoom = spacing / _STEP_MM
    hu = ndimage.zoom(np.where(metal, 0, volume.hu)[box], zoom, order=1)
    inside = ndimage.zoom(metal[box].astype(np.float32), zoom, order=1)
    renderer = vtkRenderer()
    renderer.SetBackground(1.0, 1.0, 1.0)
    renderer.SetUseFXAA(True)
    for values, level, colour in (
        (_without_specks(ndimage.gaussian_filter(hu, 0.7)), BONE_HU, _BONE_COLOUR),
        (ndimage.gaussian_filter(inside, 0.8), 0.4, _METAL_COLOUR),
    ):
        renderer.AddActor(_actor(values, level, colour))
    return _picture(renderer, volume, np.array(hu.shape) * _STEP_MM, size)


def _box(metal: NDArray[np.bool_], volume: CTVolume) -> tuple[slice, ...]:
    spacing = volume.geometry.spacing_mm[::-1]
    sides = []
    for axis in range(3):
        where = np.flatnonzero(metal.any(axis=tuple(a for a in range(3) if a != axis)))
        margin = 0 if axis == 0 else round(_MARGIN_MM / spacing[axis])
        first, last = int(where[0]) - margin, int(where[-1]) + 1 + margin
        sides.append(slice(max(first, 0), min(last, metal.shape[axis])))
    return tuple(sides)


def _without_specks(hu: NDArray[np.float32]) -> NDArray[np.float32]:
    """Drop what is too small to be bone or a streak: noise."""
    parts, count = ndimage.label(hu > BONE_HU)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    small = (sizes < _SMALLEST_PART)[parts] & (parts > 0)
    return np.where(small, BONE_HU - 100.0, hu).astype(np.float32)


def _actor(values: NDArray[np.float32], level: float, colour: tuple[float, ...]) -> Any:
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D, vtkWindowedSincPolyDataFilter
    from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper

    closed = np.pad(values, 1, constant_values=float(values.min()))
    image = vtkImageData()
    image.SetDimensions(*closed.shape[::-1])
    image.SetSpacing(_STEP_MM, _STEP_MM, _STEP_MM)
    image.GetPointData().SetScalars(numpy_to_vtk(closed.astype(np.float32).ravel(), deep=True))
    edges, smooth = vtkFlyingEdges3D(), vtkWindowedSincPolyDataFilter()
    edges.SetInputData(image)
    edges.SetValue(0, level)
    smooth.SetInputConnection(edges.GetOutputPort())
    smooth.SetNumberOfIterations(12)
    smooth.SetPassBand(0.15)
    smooth.NormalizeCoordinatesOn()
    mapper, actor = vtkPolyDataMapper(), vtkActor()
    mapper.SetInputConnection(smooth.GetOutputPort())
    mapper.ScalarVisibilityOff()
    actor.SetMapper(mapper)
    look = actor.GetProperty()
    look.SetColor(*colour)
    look.SetAmbient(0.15)
    look.SetSpecular(0.2)
    return actor


def _picture(
    renderer: Any, volume: CTVolume, extent_mm: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Look from behind; array axes are turned by the signs of the volume's directions."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkRenderingCore import vtkRenderWindow, vtkWindowToImageFilter

    signs = np.sign(np.diag(volume.ijk_to_ras)[:3])
    centre = extent_mm[::-1] / 2
    camera = renderer.GetActiveCamera()
    camera.ParallelProjectionOn()
    camera.SetFocalPoint(*centre)
    camera.SetPosition(*(centre + 500.0 * signs * np.array([-0.25, -1.0, 0.35])))
    camera.SetViewUp(*(signs * np.array([0.0, 0.0, 1.0])))
    camera.SetParallelScale(0.62 * float(extent_mm[0]))
    window = vtkRenderWindow()
    window.SetOffScreenRendering(True)
    window.SetSize(*size)
    window.SetShowWindow(False)
    window.SetMultiSamples(0)
    window.SetAlphaBitPlanes(1)
    window.AddRenderer(renderer)
    renderer.ResetCameraClippingRange()
    window.Render()
    grab = vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.SetInputBufferTypeToRGB()
    grab.ReadFrontBufferOff()
    grab.Update()
    image = grab.GetOutput()
    wide, tall, _ = image.GetDimensions()
    flat = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(tall, wide, -1)
    picture: NDArray[np.uint8] = flat[::-1, :, :3].copy()
    window.Finalize()
    return picture
