"""How the gallery's figures look."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinemar.base.atomic_files import atomic_path


def sheet(rows: int, columns: int, aspect: float = 1.0, width_in: float = 11.0) -> Any:
    """Make a figure with a grid of pictures; returns (figure, axes of shape (rows, columns))."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    height = width_in / columns * aspect * rows + 0.35 * rows
    return plt.subplots(
        rows, columns, figsize=(width_in, height), squeeze=False, layout="constrained"
    )


def show(axes: Any, image: NDArray[Any], title: str = "", **options: Any) -> None:
    """Show a picture without ticks."""
    settings: dict[str, Any] = {"cmap": "gray", "interpolation": "nearest", **options}
    if image.dtype == np.uint8:
        settings |= {"vmin": 0, "vmax": 255}
    axes.imshow(image, **settings)
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])


def show_sinogram(axes: Any, sinogram: NDArray[Any], title: str, **options: Any) -> None:
    """Show line integrals, views downwards over half a turn."""
    show(axes, sinogram, title, aspect="auto", **options)
    axes.set_xlabel("detector bin", fontsize=8)
    axes.set_ylabel("view angle, 0 to 180°", fontsize=8)


def marked(
    grey: NDArray[np.uint8], mask: NDArray[np.bool_], colour: Sequence[int] = (255, 140, 0)
) -> NDArray[np.uint8]:
    """Colour a mask into a grey picture."""
    rgb = np.repeat(grey[..., None], 3, axis=-1).astype(np.float32)
    rgb[mask] = 0.45 * rgb[mask] + 0.55 * np.asarray(colour, np.float32)
    return rgb.astype(np.uint8)


def grey(values: NDArray[np.floating], low: float, high: float) -> NDArray[np.uint8]:
    """Map values to 0..255."""
    return np.asarray(np.clip((values - low) / (high - low), 0, 1) * 255, dtype=np.uint8)


def save(figure: Any, path: Path) -> None:
    """Write the figure (JPEG for pictures, PNG for plots) and close it."""
    import matplotlib.pyplot as plt

    options = {"pil_kwargs": {"quality": 86, "optimize": True}} if path.suffix == ".jpg" else {}
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, **options)
    plt.close(figure)
    print(path)
