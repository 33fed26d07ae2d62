"""Volumes, labels and masks from files and back: RAS inside, LPS only in this package."""

from spinemar.io.segmentations.labels import (
    read_fraction,
    read_labels,
    read_mask,
    read_shares,
)
from spinemar.io.volumes import read_volume
from spinemar.io.write import check_writable, write_labels, write_volume

__all__ = [
    "check_writable",
    "read_fraction",
    "read_labels",
    "read_mask",
    "read_shares",
    "read_volume",
    "write_labels",
    "write_volume",
]
