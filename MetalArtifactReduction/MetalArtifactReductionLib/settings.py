"""What the user chooses, as plain data. Only `label`, which the panel asks, needs Slicer."""

from __future__ import annotations

import enum
from dataclasses import dataclass


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
            "generator": _("Generator"),
            "nmar": _("NMAR"),
            "linear": _("Linear interpolation"),
        }[self.name]

    def description(self) -> str:
        from slicer.i18n import tr as _

        return {
            "automatic": _("The generator where a model is installed, else NMAR."),
            "generator": _("A network trained on spine implants fills in the lost rays."),
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

    def label(self) -> str:
        from slicer.i18n import tr as _

        return {
            "automatic": _("Automatic"),
            "threshold": _("Threshold"),
            "segment": _("Segment"),
        }[self.name]


AUTOMATIC_THRESHOLD_HU = 2500.0


@dataclass(frozen=True)
class Settings:
    """How one volume shall be corrected.

    Parameters
    ----------
    method, device
    metalThresholdHu : float or None
        None for automatic.
    model : str
        Folder or manifest of a model; empty for the shipped one.
    """

    method: Method = Method.automatic
    device: Device = Device.automatic
    metalThresholdHu: float | None = None
    model: str = ""

    def asJob(self) -> dict[str, object]:
        """Return the settings as the worker takes them."""
        return {
            "method": self.method.value,
            "device": self.device.value,
            "metal_threshold_hu": self.metalThresholdHu,
            "model": self.model or None,
        }
