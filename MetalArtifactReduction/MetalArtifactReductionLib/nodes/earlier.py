"""The earlier CT in a scene: what a correction made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from MetalArtifactReductionLib.correction import Corrected
from MetalArtifactReductionLib.nodes.maps import AGREEMENT_ROLE, colourMap
from SpineMARLib.nodes import hierarchy
from SpineMARLib.nodes.earlier import PART_ATTRIBUTE
from SpineMARLib.nodes.volumes import copyPlace, copyWindow, setArray

EARLIER_ROLE = "SpineMAR.EarlierCT"
REGISTERED_ROLE = "SpineMAR.EarlierCTLaidOver"
_FACTS_ATTRIBUTE = "SpineMAR.EarlierCTFacts"
_GREEN = "vtkMRMLColorTableNodeGreen"


def addEarlier(
    scene: Any, inputNode: Any, earlierNode: Any, correctedNode: Any, corrected: Corrected
) -> None:
    """Put the laid-over earlier CT and its agreement beside a result; nothing where none was used.

    Parameters
    ----------
    scene : vtkMRMLScene
    inputNode, earlierNode, correctedNode : vtkMRMLScalarVolumeNode
    corrected : Corrected
    """
    facts = corrected.facts.get("earlier_ct")
    if facts is None or corrected.agreement is None or corrected.registered is None:
        return
    correctedNode.SetAttribute(_FACTS_ATTRIBUTE, json.dumps(facts))
    name = correctedNode.GetName()
    for role, text, voxels in (
        (REGISTERED_ROLE, f"{name}: earlier CT laid over", corrected.registered),
        (AGREEMENT_ROLE, f"{name}: agreement with the earlier CT, %", corrected.agreement),
    ):
        node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", text)
        node.SetAttribute(PART_ATTRIBUTE, role)
        setArray(node, voxels)
        copyPlace(inputNode, node)
        copyWindow(inputNode, node)
        hierarchy.putUnder(scene, node, correctedNode)
        correctedNode.SetNodeReferenceID(role, node.GetID())
    colourMap(correctedNode.GetNodeReference(AGREEMENT_ROLE), _GREEN, 1.0, 100.0)
    if earlierNode is not None and scene.IsNodePresent(earlierNode):
        correctedNode.SetNodeReferenceID(EARLIER_ROLE, earlierNode.GetID())


def factsOf(correctedNode: Any) -> Mapping[str, Any] | None:
    """Read what became of the earlier CT of a result; None where it had none."""
    text = correctedNode.GetAttribute(_FACTS_ATTRIBUTE)
    return json.loads(text) if text else None


def earlierWords(facts: Mapping[str, Any] | None) -> str:
    """Say which vertebrae of the earlier CT were used, and how far it was believed.

    Parameters
    ----------
    facts : mapping or None
        `earlier_ct` of a correction's facts.
    """
    if not facts:
        return ""
    from slicer.i18n import tr as _

    registration = facts["registration"]
    ways = (
        ("registered", _("laid over: {levels}")),
        ("given", _("as given: {levels}")),
        ("neighbours", _("moved with its neighbours: {levels}")),
    )
    parts = []
    for way, text in ways:
        levels = [v["level"] for v in registration["vertebrae"] if v["found"] == way]
        if levels:
            parts.append(text.format(levels=", ".join(levels)))
    believed = _("believed to {percent} % where it was used").format(
        percent=round(facts["mean_agreement_percent"])
    )
    sentence = _("Earlier CT {parts}; {believed}.").format(
        parts="; ".join(parts) or _("laid over as a whole"), believed=believed
    )
    return " ".join([sentence, *registration["warnings"]])
