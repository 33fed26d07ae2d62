"""The spine with its construct in 3-D, rendered without a screen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spinemar.base.extras import optional
from spinemar.errors import InputError
from spinemar.implants.catalogue import Catalogue
from spinemar.implants.construct_mesh import construct_meshes
from spinemar.implants.shapes.solids import FloatArray, unit
from spinemar.implants.surfaces.mesh import Mesh
from spinemar.pages.orientation import mark_orientation
from spinemar.planning.plans.plan import Plan
from spinemar.planning.report.colours import grade_colour
from spinemar.spine.labels.levels import LEVELS, SACRUM, VERSE_IDS, level_position
from spinemar.spine.model import SpineModel
from spinemar.volume import GridGeometry, LabelVolume

#: Where the viewer stands: direction from the patient, and which way is up.
VIEWPOINTS = {
    "behind": ((0.0, -1.0, 0.0), (0.0, 0.0, 1.0)),
    "left": ((-1.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
    "right": ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
    "oblique": ((-0.75, -0.6, 0.3), (0.0, 0.0, 1.0)),
}

_PLASTICS = ("PEEK", "CF-PEEK", "PMMA-BaSO4")
_BONE, _METAL, _ROD, _PLASTIC = (
    (0.93, 0.87, 0.75),
    (0.62, 0.65, 0.70),
    (0.78, 0.80, 0.84),
    (0.55, 0.50, 0.42),
)
_BONE_OPACITY = 0.42
_SMOOTH_MM = 0.9
_MARGIN = 1.12


def render_views(
    spine: SpineModel,
    plan: Plan,
    catalogue: Catalogue,
    viewpoints: Sequence[str] = ("behind", "left"),
    *,
    size: tuple[int, int] = (700, 900),
) -> dict[str, NDArray[np.uint8]]:
    """Render the planned levels, one more on either side, and all implants.

    Parameters
    ----------
    spine : SpineModel
    plan : Plan
    catalogue : Catalogue
        Of its implants.
    viewpoints : sequence of str
        Names in `VIEWPOINTS`.
    size : pair of int
        Width and height in pixels.

    Returns
    -------
    dict of str to ndarray of uint8, shape (height, width, 3)
        Shanks have the colour of their grade; bone is translucent. Letters at the edges tell
        the sides, a bar below left 10 mm.
    """
    vtk = _vtk()
    bone = bone_mesh(spine.labels, shown_levels(spine, plan))
    renderer = vtk["vtkRenderer"]()
    renderer.SetBackground(1.0, 1.0, 1.0)
    renderer.AddActor(_actor(vtk, bone, _BONE, _BONE_OPACITY))
    for part in construct_meshes(plan, catalogue):
        renderer.AddActor(_actor(vtk, part.mesh, _colour(plan, part), 1.0))
    _light(vtk, renderer)
    renderer.SetUseDepthPeeling(True)
    renderer.SetMaximumNumberOfPeels(6)
    renderer.SetUseFXAA(True)
    _driver()
    window = _window(vtk, size, renderer)
    pictures = {}
    for name in viewpoints:
        aim = _look(renderer, bone, plan, VIEWPOINTS[name], size)
        pictures[name] = mark_orientation(_grab(vtk, window), *aim)
    window.Finalize()
    return pictures


def shown_levels(spine: SpineModel, plan: Plan) -> tuple[str, ...]:
    """Return the levels of a plan and their neighbours, as far as they are labelled."""
    there = set(np.unique(spine.labels.labels).tolist())
    planned = [level for level in plan.levels if level in VERSE_IDS]
    planned += [screw.level for screw in plan.screws if screw.level in VERSE_IDS]
    planned += [SACRUM for screw in plan.screws if screw.in_pelvis]
    if not planned:
        return tuple(level for level in LEVELS if VERSE_IDS[level] in there)
    places = [level_position(level) for level in planned]
    return tuple(
        level
        for level in VERSE_IDS
        if VERSE_IDS[level] in there and min(places) - 1 <= level_position(level) <= max(places) + 1
    )


def bone_mesh(labels: LabelVolume, levels: Sequence[str]) -> Mesh:
    """Return the smoothed surface of some vertebrae in RAS mm.

    Raises
    ------
    InputError
        If the labels hold none of the levels.
    """
    mask = np.isin(labels.labels, [VERSE_IDS[level] for level in levels])
    if not mask.any():
        raise InputError("The labels hold none of the planned levels.", "Use the plan's labels.")
    low = [max(int(x.min()) - 2, 0) for x in np.nonzero(mask)]
    high = [int(x.max()) + 3 for x in np.nonzero(mask)]
    crop = np.pad(mask[low[0] : high[0], low[1] : high[1], low[2] : high[2]], 2)
    spacing = np.array(labels.geometry.spacing_mm[::-1])
    smooth: NDArray[np.float32] = ndimage.gaussian_filter(
        crop.astype(np.float32), _SMOOTH_MM / spacing
    )
    affine = labels.ijk_to_ras.copy()
    affine[:3, 3] = labels.geometry.to_ras(np.array(low[::-1]) - 2.0)
    k, j, i = smooth.shape
    points, triangles = _contour(smooth, 0.5)
    return Mesh(GridGeometry((k, j, i), affine).to_ras(points), triangles)


def _contour(values: NDArray[np.float32], level: float) -> tuple[FloatArray, NDArray[np.int64]]:
    """Return the surface of an array (k, j, i) in voxel coordinates (i, j, k), smoothed."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D, vtkWindowedSincPolyDataFilter

    image = vtkImageData()
    image.SetDimensions(*values.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(values.ravel(), deep=True))
    edges, smooth = vtkFlyingEdges3D(), vtkWindowedSincPolyDataFilter()
    edges.SetInputData(image)
    edges.SetValue(0, level)
    smooth.SetInputConnection(edges.GetOutputPort())
    smooth.SetNumberOfIterations(25)
    smooth.SetPassBand(0.08)
    smooth.NormalizeCoordinatesOn()
    smooth.Update()
    data = smooth.GetOutput()
    points = vtk_to_numpy(data.GetPoints().GetData()).astype(np.float64)
    cells = vtk_to_numpy(data.GetPolys().GetConnectivityArray()).astype(np.int64)
    return points, cells.reshape(-1, 3)


def _colour(plan: Plan, part: Any) -> tuple[float, float, float]:
    if part.name == "shank":
        return grade_colour(plan.screw(part.implant_id))
    if part.material in _PLASTICS:
        return _PLASTIC
    return _ROD if part.name == "rod" else _METAL


def _vtk() -> dict[str, Any]:
    with optional("The 3-D view of a report"):
        import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  (registers the renderer)
        from vtkmodules.vtkCommonCore import vtkPoints
        from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
        from vtkmodules.vtkFiltersCore import vtkPolyDataNormals
        from vtkmodules.vtkRenderingCore import (
            vtkActor,
            vtkLight,
            vtkPolyDataMapper,
            vtkRenderer,
            vtkRenderWindow,
            vtkWindowToImageFilter,
        )
    classes = (vtkPoints, vtkCellArray, vtkPolyData, vtkPolyDataNormals, vtkActor, vtkLight,
               vtkPolyDataMapper, vtkRenderer, vtkRenderWindow, vtkWindowToImageFilter)  # fmt: skip
    return {c.__name__: c for c in classes}


@cache
def _driver() -> Any:
    """Return a window that nothing is drawn in; it keeps the driver loaded.

    VTK unloads the driver with the last window, and each time some 15 kB are never given back.
    """
    vtk = _vtk()
    return _window(vtk, (16, 16), vtk["vtkRenderer"]())


def _window(vtk: dict[str, Any], size: tuple[int, int], renderer: Any) -> Any:
    """Return a window that needs no screen: VTK tries X, EGL and OSMesa in turn."""
    from vtkmodules.vtkCommonCore import vtkLogger

    before = vtkLogger.GetCurrentVerbosityCutoff()
    # It warns of every kind of window that is not there.
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_ERROR)
    try:
        window = vtk["vtkRenderWindow"]()
        window.SetOffScreenRendering(True)
        window.SetShowWindow(False)
        window.SetSize(*size)
        window.SetMultiSamples(0)
        window.SetAlphaBitPlanes(1)
        window.AddRenderer(renderer)
        window.Render()
    finally:
        vtkLogger.SetStderrVerbosity(before)
    return window


def _actor(vtk: dict[str, Any], mesh: Mesh, colour: tuple[float, ...], opacity: float) -> Any:
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray

    points, cells, data = vtk["vtkPoints"](), vtk["vtkCellArray"](), vtk["vtkPolyData"]()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(mesh.points, dtype=np.float32), deep=True))
    offsets = numpy_to_vtkIdTypeArray(np.arange(0, mesh.triangles.size + 1, 3), deep=True)
    corners = numpy_to_vtkIdTypeArray(np.ascontiguousarray(mesh.triangles.ravel()), deep=True)
    cells.SetData(offsets, corners)
    data.SetPoints(points)
    data.SetPolys(cells)
    normals = vtk["vtkPolyDataNormals"]()
    normals.SetInputData(data)
    normals.SetFeatureAngle(40.0)
    mapper, actor = vtk["vtkPolyDataMapper"](), vtk["vtkActor"]()
    mapper.SetInputConnection(normals.GetOutputPort())
    actor.SetMapper(mapper)
    look = actor.GetProperty()
    look.SetColor(*colour)
    look.SetOpacity(opacity)
    look.SetAmbient(0.22)
    look.SetDiffuse(0.75)
    look.SetSpecular(0.25 if opacity == 1.0 else 0.05)
    look.SetSpecularPower(25.0)
    return actor


def _light(vtk: dict[str, Any], renderer: Any) -> None:
    for azimuth, elevation, strength in ((-35.0, 35.0, 0.9), (50.0, 10.0, 0.4)):
        light = vtk["vtkLight"]()
        light.SetLightTypeToCameraLight()
        light.SetPosition(
            np.sin(np.radians(azimuth)), np.sin(np.radians(elevation)), np.cos(np.radians(azimuth))
        )
        light.SetIntensity(strength)
        renderer.AddLight(light)


def _look(
    renderer: Any, bone: Mesh, plan: Plan, viewpoint: tuple[Any, Any], size: tuple[int, int]
) -> tuple[FloatArray, FloatArray, float]:
    """Aim the camera so that bone and implants just fill the picture, in parallel projection.

    Returns what lies to the picture's right and at its top, and its pixels' side in mm.
    """
    towards, up = unit(viewpoint[0]), np.asarray(viewpoint[1], float)
    right = unit(np.cross(up, towards))
    upwards = np.cross(towards, right)
    entries = [point for screw in plan.screws for point in (screw.entry, screw.tip)]
    points = np.concatenate([bone.points, np.reshape(entries, (-1, 3))])
    spans = [(points @ axis).min() + (points @ axis).max() for axis in (right, upwards, towards)]
    centre = (spans[0] * right + spans[1] * upwards + spans[2] * towards) / 2
    wide, tall = np.ptp(points @ right), np.ptp(points @ upwards)
    camera = renderer.GetActiveCamera()
    camera.ParallelProjectionOn()
    camera.SetFocalPoint(*centre)
    camera.SetPosition(*(centre + 600.0 * towards))
    camera.SetViewUp(*upwards)
    half_mm = _MARGIN * max(tall, wide * size[1] / size[0]) / 2
    camera.SetParallelScale(half_mm)
    renderer.ResetCameraClippingRange()
    return right, upwards, 2.0 * half_mm / size[1]


def _grab(vtk: dict[str, Any], window: Any) -> NDArray[np.uint8]:
    from vtkmodules.util.numpy_support import vtk_to_numpy

    window.Render()
    grab = vtk["vtkWindowToImageFilter"]()
    grab.SetInput(window)
    grab.SetInputBufferTypeToRGB()
    grab.ReadFrontBufferOff()
    grab.Update()
    image = grab.GetOutput()
    wide, tall, _ = image.GetDimensions()
    flat = vtk_to_numpy(image.GetPointData().GetScalars())
    picture: NDArray[np.uint8] = flat.reshape(tall, wide, -1)[::-1, :, :3].copy()
    return picture
