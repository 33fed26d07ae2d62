"""What the module does, on a scene that it is given: start a correction, keep its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from MetalArtifactReductionLib.correction import Source, startCorrection, startFinding
from MetalArtifactReductionLib.nodes import results
from MetalArtifactReductionLib.nodes.earlier import addEarlier
from MetalArtifactReductionLib.nodes.maps import addUncertainty
from spinemar.errors import FaultError, InputError
from spinemar.mar.settings import CorrectionSettings
from spinemar.planning.plans.plan_json import plan_from_json
from SpineMARLib.jobrun import JobRun
from SpineMARLib.nodes.keptplan import planIn
from SpineMARLib.nodes.volumes import arrayOf, ijkToRas, segmentMask


class CorrectionLogic:
    """Corrections in one scene.

    Parameters
    ----------
    scene : vtkMRMLScene
    temporaryFolder : path
        For what is handed to and from the worker.
    command : sequence of str, optional
        Command line of the worker; by default this Python's.
    """

    def __init__(
        self, scene: Any, temporaryFolder: str | Path, command: Sequence[str] | None = None
    ) -> None:
        self.scene = scene
        self._temporaryFolder = temporaryFolder
        self._command = command

    def start(
        self,
        inputNode: Any,
        settings: CorrectionSettings,
        segmentation: Any = None,
        segmentId: str = "",
        earlierNode: Any = None,
        *,
        ofPlanner: bool = False,
    ) -> JobRun:
        """Start correcting a volume that `guards.checkInput` has passed.

        Parameters
        ----------
        inputNode : vtkMRMLScalarVolumeNode
        settings : CorrectionSettings
        segmentation, segmentId : optional
            The metal, where it is not looked for.
        earlierNode : vtkMRMLScalarVolumeNode, optional
            The same patient's CT from before the metal.
        ofPlanner : bool
            The metal is the implants that the planner has in the volume.

        Raises
        ------
        InputError
            If the segment cannot be used, or the planner has no implants there.
        """
        plan = self._plannedIn(inputNode) if ofPlanner else ""
        metal = segmentMask(segmentation, segmentId, inputNode) if segmentation else None
        earlier = None if earlierNode is None else _sourceOf(earlierNode)
        source = replace(_sourceOf(inputNode), metal=metal, earlier=earlier, plan=plan)
        return startCorrection(source, settings, self._temporaryFolder, self._command)

    def _plannedIn(self, inputNode: Any) -> str:
        plan = planIn(self.scene, inputNode)
        if not plan or not any(plan_from_json(plan).items()):
            raise InputError(
                "The planner has no implants in this CT.",
                "Choose this CT there and find or place them, or use automatic.",
            )
        return plan

    def findMetal(self, inputNode: Any) -> JobRun:
        """Start looking for what the automatic selection takes; the result is `FoundMetal`."""
        return startFinding(_sourceOf(inputNode), self._temporaryFolder, self._command)

    def finish(
        self, run: JobRun, inputNode: Any, earlierNode: Any = None
    ) -> results.ResultNodes | None:
        """Put the result of a finished run into the scene; None where there was no metal.

        It is always a new volume: no run overwrites anything.

        Raises
        ------
        SpinemarError
            What ended the run.
        """
        if run.error is not None:
            raise run.error
        if run.result is None:
            raise FaultError("The correction has no result.", "Please try again.")
        if inputNode is None or not self.scene.IsNodePresent(inputNode):
            raise InputError(
                "The input volume was removed while it was corrected.", "Load it and try again."
            )
        if not run.result.facts["slices"]:
            return None
        nodes = results.addResult(self.scene, inputNode, run.result)
        addUncertainty(self.scene, inputNode, nodes.volume, run.result)
        addEarlier(self.scene, inputNode, earlierNode, nodes.volume, run.result)
        return nodes


def _sourceOf(node: Any) -> Source:
    return Source(node.GetName(), arrayOf(node), ijkToRas(node))
