"""What `spinemar correct` works on: stored images, or the scanner's raw data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spinemar.progress import CancelToken, ProgressCallback

if TYPE_CHECKING:
    from spinemar.jobs.earlier_ct import EarlierFiles
    from spinemar.mar.raw import RawCorrection
    from spinemar.mar.result import CorrectionResult
    from spinemar.mar.settings import CorrectionSettings
    from spinemar.volume import CTVolume


@dataclass(frozen=True)
class CorrectionJob:
    """One input, one output, and how to correct; see the options of `spinemar correct`."""

    source: Path
    output: Path
    settings: CorrectionSettings
    mask: Path | None
    series: str | None = None
    earlier: EarlierFiles | None = None
    uncertainty: bool = False

    @property
    def is_raw(self) -> bool:
        """Whether the input's name says that it is raw data."""
        from spinemar.tomography.raw_data.sinogram_files import is_sinogram_path

        return is_sinogram_path(self.source)

    def correct_images(
        self, progress: ProgressCallback, cancel: CancelToken
    ) -> tuple[CTVolume, CorrectionResult]:
        """Read and correct a volume; return it as read, and the result."""
        from spinemar.io import check_writable, read_mask
        from spinemar.jobs.earlier_ct import read_earlier
        from spinemar.jobs.fed_back import read_scan
        from spinemar.mar.correct import correct_volume

        volume = read_scan(self.source, self.series, self.settings)
        check_writable(self.output, volume)
        mask = None if self.mask is None else read_mask(self.mask, volume.geometry)
        earlier = None
        if self.earlier is not None:
            earlier = read_earlier(self.earlier, self.source, self.series, volume, self.settings)
        result = correct_volume(
            volume,
            self.settings,
            metal_mask=mask,
            earlier=earlier,
            uncertainty=self.uncertainty,
            progress=progress,
            cancel=cancel,
        )
        return volume, result

    def correct_raw(
        self, matrix: int, fov_mm: float | None, progress: ProgressCallback, cancel: CancelToken
    ) -> RawCorrection:
        """Read and correct raw data."""
        import numpy as np

        from spinemar.io import check_writable, read_mask
        from spinemar.mar.raw import correct_sinogram
        from spinemar.tomography.raw_data.sinogram_files import read_sinogram
        from spinemar.volume import CTVolume

        sinogram = read_sinogram(self.source)
        grid = sinogram.image_grid(matrix, fov_mm)
        blank = np.zeros((grid.shape[0], 1, 1), dtype=np.float32)
        check_writable(self.output, CTVolume(blank, grid.ijk_to_ras))
        mask = None if self.mask is None else read_mask(self.mask, grid)
        return correct_sinogram(
            sinogram,
            self.settings,
            matrix=matrix,
            fov_mm=fov_mm,
            metal_mask=mask,
            progress=progress,
            cancel=cancel,
            uncertainty=self.uncertainty,
        )
