"""What the panel remembers in the scene beside the plan itself."""

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import parameterNodeWrapper


@parameterNodeWrapper
class SpineImplantPlannerParameterNode:
    """Parameters of planning; their names are kept in scenes, so they stay."""

    inputVolume: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    upperLevel: str = ""
    lowerLevel: str = ""
    earlierCt: vtkMRMLScalarVolumeNode
