"""The choices of the panel: what `CorrectionSettings` knows, with labels for people."""

from __future__ import annotations

import enum


class Method(enum.Enum):
    """How lost rays are filled in. The names are kept in scenes, so they stay."""

    automatic = "auto"
    generator = "generator"
    nmar = "nmar"
    linear = "li"

    def label(self) -> str:
        from slicer.i18n import tr as _

        return {
            "automatic": _("Automatic (recommended)"),
            "generator": _("Learned"),
            "nmar": _("NMAR"),
            "linear": _("Linear interpolation"),
        }[self.name]

    def description(self) -> str:
        from slicer.i18n import tr as _

        return {
            "automatic": _("The learned method where a model is installed, else NMAR."),
            "generator": _("Networks trained on spine implants fill in the lost rays."),
            "nmar": _("Classical: lost rays follow a tissue model of the patient."),
            "linear": _("Classical and simple: lost rays are bridged by straight lines."),
        }[self.name]


class Device(enum.Enum):
    """Where networks run. The names are kept in scenes, so they stay."""

    automatic = "auto"
    cuda = "cuda"
    cpu = "cpu"

    def label(self) -> str:
        from slicer.i18n import tr as _

        return {"automatic": _("Automatic"), "cuda": _("CUDA (NVIDIA)"), "cpu": _("CPU")}[self.name]


class MetalSource(enum.Enum):
    """Where the metal mask comes from. The names are kept in scenes, so they stay."""

    automatic = "automatic"
    threshold = "threshold"
    segment = "segment"
    implants = "implants"

    def label(self) -> str:
        from slicer.i18n import tr as _

        return {
            "automatic": _("Automatic"),
            "threshold": _("Threshold"),
            "segment": _("Segment"),
            "implants": _("Implants of the planner"),
        }[self.name]
