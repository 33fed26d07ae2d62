"""A MRML scene with Slicer's own module logics on it, opened and closed without leftovers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Order matters: units before markups measure, colours before anything that is displayed, subject
# hierarchy before the nodes it shows. Terminologies is left out: the wheel lacks its JSON files.
_MODULE_LOGICS = (
    ("Units", "vtkSlicerUnitsLogic"),
    ("Cameras", "vtkSlicerCamerasModuleLogic"),
    ("SubjectHierarchy", "vtkSlicerSubjectHierarchyModuleLogic"),
    ("Volumes", "vtkSlicerVolumesLogic"),
    ("Models", "vtkSlicerModelsLogic"),
    ("Markups", "vtkSlicerMarkupsLogic"),
    ("Segmentations", "vtkSlicerSegmentationsModuleLogic"),
    ("Transforms", "vtkSlicerTransformLogic"),
    ("Tables", "vtkSlicerTablesLogic"),
    ("Texts", "vtkSlicerTextsLogic"),
    ("Plots", "vtkSlicerPlotsLogic"),
    ("Sequences", "vtkSlicerSequencesLogic"),
    ("ViewControllers", "vtkSlicerViewControllersLogic"),
    ("VolumeRendering", "vtkSlicerVolumeRenderingLogic"),
    ("CropVolume", "vtkSlicerCropVolumeLogic"),
    ("Reformat", "vtkSlicerReformatLogic"),
)

_SLICE_MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLTransformsDisplayableManager2D",
    "vtkMRMLLinearTransformsDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
)

_THREED_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLThreeDReformatDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLVolumeRenderingDisplayableManager",
    "vtkMRMLTransformsDisplayableManager3D",
    "vtkMRMLLinearTransformsDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
)


@dataclass
class SceneRuntime:
    """What belongs to one scene: nothing of it may outlive `close`."""

    scene: Any
    applicationLogic: Any
    colorLogic: Any
    moduleLogics: dict[str, Any]
    remoteIO: Any
    dataIO: Any

    def close(self) -> None:
        """Empty the scene and take every logic off it."""
        import vtk

        self.scene.Clear(1)
        self.scene.RemoveObservers(self.scene.NodeAboutToBeRemovedEvent)
        self.applicationLogic.GetSliceLogics().RemoveAllItems()
        self.applicationLogic.GetViewLogics().RemoveAllItems()
        vtk.vtkObject.GlobalWarningDisplayOff()  # logics look for nodes in a scene that is gone
        for name, logic in reversed(self.moduleLogics.items()):
            self.applicationLogic.SetModuleLogic(name, None)
            logic.SetMRMLScene(None)
            logic.SetMRMLApplicationLogic(None)
        self.moduleLogics.clear()
        vtk.vtkObject.GlobalWarningDisplayOn()
        for manager in _factories():
            manager.SetMRMLApplicationLogic(None)
        self.dataIO.SetAndObserveDataIOManager(None)
        self.dataIO.SetMRMLApplicationLogic(None)
        self.scene.SetCacheManager(None)
        self.scene.SetDataIOManager(None)
        self.remoteIO.SetMRMLScene(None)
        self.colorLogic.SetMRMLScene(None)
        self.colorLogic.SetMRMLApplicationLogic(None)
        self.applicationLogic.SetColorLogic(None)
        self.applicationLogic.SetMRMLScene(None)


def _factories() -> tuple[Any, Any]:
    import slicer

    return (
        slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance(),
        slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance(),
    )


def _registerDisplayableManagers(applicationLogic: Any) -> None:
    for factory, names in zip(_factories(), (_SLICE_MANAGERS, _THREED_MANAGERS), strict=True):
        factory.SetMRMLApplicationLogic(applicationLogic)
        for name in names:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)


def _makeRemoteIO(scene: Any, applicationLogic: Any, cacheFolder: str) -> tuple[Any, Any]:
    """Scene files (.mrb) are read through the data IO manager, which wants a cache."""
    import slicer

    remoteIO = slicer.vtkMRMLRemoteIOLogic()
    remoteIO.SetMRMLScene(scene)
    (Path(cacheFolder) / ".slicer-cache").touch()  # without it the cache may not be emptied
    remoteIO.GetCacheManager().SetRemoteCacheDirectory(cacheFolder)
    remoteIO.AddDataIOToScene()
    dataIO = slicer.vtkDataIOManagerLogic()
    dataIO.SetMRMLApplicationLogic(applicationLogic)
    dataIO.SetAndObserveDataIOManager(remoteIO.GetDataIOManager())
    return remoteIO, dataIO


def _forgetRemoved(scene: Any) -> None:
    """Take removed nodes out of the subject hierarchy, as its plugins do in Slicer."""
    import vtk

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def removed(caller: Any, _event: str, node: Any) -> None:
        if caller.IsClosing() or node is None or node.IsA("vtkMRMLSubjectHierarchyNode"):
            return
        tree = caller.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
        item = tree.GetItemByDataNode(node) if tree is not None else 0
        if tree is not None and item not in (0, tree.GetInvalidItemID()):
            tree.RemoveItem(item, False, False)

    scene.AddObserver(scene.NodeAboutToBeRemovedEvent, removed)


def openScene(temporaryFolder: str) -> SceneRuntime:
    """Make a scene as Slicer's start-up does: logics first, then default nodes, no views."""
    import slicer
    import vtk

    scene = slicer.vtkMRMLScene()
    applicationLogic = slicer.vtkSlicerApplicationLogic()
    applicationLogic.SetMRMLScene(scene)
    applicationLogic.SetTemporaryPath(temporaryFolder)
    remoteIO, dataIO = _makeRemoteIO(scene, applicationLogic, temporaryFolder)
    colorLogic = slicer.vtkMRMLColorLogic()
    colorLogic.SetMRMLScene(scene)
    colorLogic.SetMRMLApplicationLogic(applicationLogic)
    applicationLogic.SetColorLogic(colorLogic)
    applicationLogic.SetModuleLogic("Colors", colorLogic)
    applicationLogic.SetSliceLogics(vtk.vtkCollection())
    applicationLogic.SetViewLogics(vtk.vtkCollection())
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    _forgetRemoved(scene)
    moduleLogics = {"Colors": colorLogic}
    for name, className in _MODULE_LOGICS:
        logic = getattr(slicer, className)()
        logic.SetMRMLApplicationLogic(applicationLogic)
        applicationLogic.SetModuleLogic(name, logic)
        logic.SetMRMLScene(scene)
        moduleLogics[name] = logic
    _registerDisplayableManagers(applicationLogic)
    return SceneRuntime(scene, applicationLogic, colorLogic, moduleLogics, remoteIO, dataIO)
