"""Whether a network of a manifest is one that its client can run."""

from __future__ import annotations

from spinemar.errors import ModelError
from spinemar.mar.inpainters.models.manifest import Network

_LARGEST_MULTIPLE = 256


def unfit(network: Network, problem: str) -> ModelError:
    """Return the error that says what is wrong with a network."""
    return ModelError(
        f"The {network.role} network {network.file} {problem}.",
        "Use a model published for this version of the software.",
    )


def check_maps(network: Network, n_features: int, output: str, n_maps: int) -> None:
    """Refuse a network that does not make maps (B, n, H, W) of `features` (B, n, H, W).

    Raises
    ------
    ModelError
    """
    inputs = {"features": (None, n_features, None, None)}
    outputs = {output: (None, n_maps, None, None)}
    if (dict(network.inputs), dict(network.outputs)) != (inputs, outputs):
        raise unfit(network, f"has other inputs than features or other outputs than {output}")


def multiple_of(network: Network) -> int:
    """Return of what the sides of a network's input are multiples.

    Raises
    ------
    ModelError
        If its settings do not say so.
    """
    multiple = network.settings.get("multiple")
    if (
        isinstance(multiple, bool)
        or not isinstance(multiple, int)
        or not (1 <= multiple <= _LARGEST_MULTIPLE)
    ):
        raise unfit(network, "has no setting multiple")
    return multiple
