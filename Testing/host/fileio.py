"""slicer.app.coreIOManager(): files into nodes and back, through MRML's storage nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer

_BY_SUFFIX = (
    ((".seg.nrrd", ".seg.nhdr", ".seg.nii", ".seg.nii.gz"), "SegmentationFile"),
    ((".mrb", ".mrml"), "SceneFile"),
    ((".mrk.json", ".fcsv"), "MarkupsFile"),
    ((".vtk", ".vtp", ".stl", ".obj", ".ply"), "ModelFile"),
    ((".h5", ".tfm"), "TransformFile"),
    ((".csv", ".tsv"), "TableFile"),
    ((".txt", ".json", ".xml"), "TextFile"),
    ((".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd", ".dcm", ""), "VolumeFile"),
)


class CoreIOManager:
    """Loads and saves nodes as `slicer.util` asks for it."""

    def __init__(self, scene: Any, applicationLogic: Any) -> None:
        self._scene = scene
        self._applicationLogic = applicationLogic

    def fileType(self, filename: str) -> str:
        name = str(filename).lower()
        for suffixes, kind in _BY_SUFFIX:
            if any(name.endswith(s) for s in suffixes if s):
                return kind
        return "VolumeFile"

    def fileWriterFileType(self, node: Any, filename: str = "") -> str:
        return node.GetClassName().removeprefix("vtkMRML").removesuffix("Node") + "File"

    def loadNodes(
        self, kind: str, properties: dict, nodes: Any = None, messages: Any = None
    ) -> bool:
        path = str(properties["fileName"])
        if not Path(path).exists():
            self._say(messages, f"File not found: {path}")
            return False
        loader = getattr(self, f"_load{kind.removesuffix('File')}", None)
        node = loader(path, properties) if loader else None
        if node is not None and nodes is not None and node is not True:
            nodes.AddItem(node)
        return node is not None

    def saveNodes(self, kind: str, properties: dict, messages: Any = None) -> bool:
        path = str(properties["fileName"])
        if kind == "SceneFile":
            return self._saveScene(path)
        node = self._scene.GetNodeByID(properties["nodeID"])
        storage = node.GetStorageNode()
        if storage is None:
            node.AddDefaultStorageNode()
            storage = node.GetStorageNode()
        storage.SetFileName(path)
        if "useCompression" in properties:
            storage.SetUseCompression(properties["useCompression"])
        return bool(storage.WriteData(node))

    def addDefaultStorageNodes(self) -> None:
        for node in slicer.util.getNodesByClass("vtkMRMLStorableNode"):
            node.AddDefaultStorageNode()

    @staticmethod
    def _say(messages: Any, text: str) -> None:
        if messages is not None:
            messages.AddMessage(0x10000, text)

    def _loadVolume(self, path: str, properties: dict) -> Any:
        logic = slicer.modules.volumes.logic()
        options = 1 if properties.get("labelmap") else 0
        name = properties.get("name") or Path(path).name.split(".")[0]
        node = logic.AddArchetypeVolume(path, name, options)
        if node is not None and properties.get("show", True):
            self._applicationLogic.GetSelectionNode().SetReferenceActiveVolumeID(node.GetID())
            self._applicationLogic.PropagateVolumeSelection(1)
        return node

    def _loadSegmentation(self, path: str, properties: dict) -> Any:
        name = properties.get("name") or ""
        return slicer.modules.segmentations.logic().LoadSegmentationFromFile(path, True, name)

    def _loadModel(self, path: str, properties: dict) -> Any:
        return slicer.modules.models.logic().AddModel(path)

    def _loadMarkups(self, path: str, properties: dict) -> Any:
        identifier = slicer.modules.markups.logic().LoadMarkups(path, properties.get("name") or "")
        return self._scene.GetNodeByID(identifier) if identifier else None

    def _loadTransform(self, path: str, properties: dict) -> Any:
        return slicer.modules.transforms.logic().AddTransform(path, self._scene)

    def _loadTable(self, path: str, properties: dict) -> Any:
        return slicer.modules.tables.logic().AddTable(path, properties.get("name") or "")

    def _loadText(self, path: str, properties: dict) -> Any:
        node = self._scene.AddNewNodeByClass("vtkMRMLTextNode", Path(path).stem)
        node.SetText(Path(path).read_text(encoding="utf-8"))
        return node

    def _loadScene(self, path: str, properties: dict) -> Any:
        clear = bool(properties.get("clear", False))
        if path.lower().endswith(".mrb"):
            return True if self._scene.ReadFromMRB(path, clear) else None
        self._scene.SetURL(path)
        loaded = self._scene.Connect() if clear else self._scene.Import()
        return True if loaded else None

    def _saveScene(self, path: str) -> bool:
        self.addDefaultStorageNodes()
        if path.lower().endswith(".mrb"):
            return bool(self._scene.WriteToMRB(path))
        self._scene.SetURL(path)
        return bool(self._scene.Commit(path))
