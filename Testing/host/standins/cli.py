"""Stand-in for `slicer.cli`: runs a scripted command-line module by its XML description."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

_IMAGES = ("image", "geometry", "transform")


@dataclass
class CommandLineModule:
    """A command-line module: its script and the XML beside it."""

    path: str
    name: str = field(init=False)
    title: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = Path(self.path).stem
        self.tree = ElementTree.parse(Path(self.path).with_suffix(".xml")).getroot()
        self.title = self.tree.findtext("title", self.name)


@dataclass
class CommandLineNode:
    """What `runSync` returns: how it ended."""

    status: str
    output: str
    error: str

    def GetStatusString(self) -> str:
        return self.status

    def GetOutputText(self) -> str:
        return self.output

    def GetErrorText(self) -> str:
        return self.error


def runSync(module: CommandLineModule, node: Any = None, parameters: Any = None) -> CommandLineNode:
    """Run a module: input nodes as files in, files out into the output nodes."""
    given = dict(parameters or {})
    with tempfile.TemporaryDirectory(prefix="slicer-cli-") as folder:
        command, outputs = [sys.executable, module.path], []
        positions: dict[int, str] = {}
        for element in module.tree.findall("parameters/*[name]"):
            name = element.findtext("name", "")
            value = given.pop(name, None)
            if value is None:
                continue
            text = str(value)
            if element.tag in _IMAGES:
                text = str(Path(folder) / f"{name}.nrrd")
                if element.findtext("channel") == "input":
                    _save(value, text)
                else:
                    outputs.append((value, text))
            if element.findtext("index") is not None:
                positions[int(element.findtext("index", "0"))] = text
            else:
                command += [f"--{element.findtext('longflag')}", text]
        if given:
            raise ValueError(f"{module.name} has no parameters called {', '.join(given)}")
        command += [positions[index] for index in sorted(positions)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        for target, path in outputs if done.returncode == 0 else []:
            _load(path, target)
    status = "Completed" if done.returncode == 0 else "Completed with errors"
    return CommandLineNode(status, done.stdout, done.stderr)


def _node(nodeOrId: Any) -> Any:
    import slicer

    return slicer.mrmlScene.GetNodeByID(nodeOrId) if isinstance(nodeOrId, str) else nodeOrId


def _save(nodeOrId: Any, path: str) -> None:
    import slicer

    node = _node(nodeOrId)
    own = node.GetStorageNode()
    slicer.util.saveNode(node, path)
    if own is None:  # the temporary file is none of the node's business
        storage = node.GetStorageNode()
        node.SetAndObserveStorageNodeID(None)
        slicer.mrmlScene.RemoveNode(storage)


def _load(path: str, nodeOrId: Any) -> None:
    import slicer

    loaded, target = slicer.util.loadVolume(path, {"show": False}), _node(nodeOrId)
    target.SetAndObserveImageData(loaded.GetImageData())
    target.CopyOrientation(loaded)
    slicer.mrmlScene.RemoveNode(loaded)
