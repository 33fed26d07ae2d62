"""The learned correction: a prior from the image domain, a generator on the lost rays."""

from __future__ import annotations

from spinemar.mar.inpainters.learned.inpainter import LearnedInpainter
from spinemar.mar.inpainters.models.manifest import Manifest
from spinemar.mar.settings import Device

__all__ = ["LearnedInpainter", "make_learned_inpainter"]


def make_learned_inpainter(manifest: Manifest, device: Device = "auto") -> LearnedInpainter:
    """Make the inpainter of a verified model that has a prior network.

    Parameters
    ----------
    manifest : Manifest
    device : {"auto", "cpu", "cuda", "cuda-fp16"}

    Returns
    -------
    LearnedInpainter

    Raises
    ------
    ModelError
        If the networks' inputs or settings are not those of this software.
    """
    return LearnedInpainter(manifest, device)
