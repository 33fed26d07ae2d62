"""What the panel remembers in the scene."""

from pathlib import Path
from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from MetalArtifactReductionLib.choices.settings import (
    Device,
    MetalSource,
    Method,
)
from spinemar.io.hounsfield import MASK_THRESHOLD_HU
from spinemar.mar.settings import CorrectionSettings


@parameterNodeWrapper
class MetalArtifactReductionParameterNode:
    """Parameters of one correction; their names are kept in scenes, so they stay."""

    inputVolume: vtkMRMLScalarVolumeNode
    outputVolume: vtkMRMLScalarVolumeNode
    earlierCt: vtkMRMLScalarVolumeNode
    metalSource: MetalSource = MetalSource.automatic
    metalThresholdHu: Annotated[float, WithinRange(500, 8000)] = MASK_THRESHOLD_HU
    metalSegmentation: vtkMRMLSegmentationNode
    metalSegmentId: str = ""
    showPreview: bool = False
    method: Method = Method.automatic
    device: Device = Device.automatic
    model: str = ""
    showCompare: bool = True
    showOutline: bool = True


def settingsOf(parameters: MetalArtifactReductionParameterNode) -> CorrectionSettings:
    """Read the settings of a run out of the parameters."""
    byThreshold = parameters.metalSource is MetalSource.threshold
    return CorrectionSettings(
        method=parameters.method.value,
        device=parameters.device.value,
        metal_threshold_hu=parameters.metalThresholdHu if byThreshold else None,
        model=Path(parameters.model) if parameters.model else None,
    )
