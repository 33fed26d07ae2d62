"""A Lightning data module over a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import lightning
from torch.utils.data import DataLoader, Dataset

from spinemar_training.data.numbered import NumberedStream, OnePass
from spinemar_training.data.sinograms import StoredSinograms
from spinemar_training.data.slabs import StoredSlabs


class StoreDataModule(lightning.LightningDataModule):
    """Training and validation batches from a store; a resumed run sees the batches it missed.

    Parameters
    ----------
    store : Path
        Made by `spinemar dataset make`.
    batch_size : int
    seed : int
    kind : {"slabs", "sinograms"}
        Images, or sinograms with their traces and prior.
    views : int, optional
        Views of a block of sinograms; None gives whole ones.
    domain : str, optional
        "post" or "raw" alone.
    workers : int
        Processes that read.
    """

    def __init__(
        self,
        store: Path,
        batch_size: int,
        seed: int = 0,
        *,
        kind: Literal["slabs", "sinograms"] = "slabs",
        views: int | None = None,
        domain: str | None = None,
        workers: int = 0,
    ) -> None:
        super().__init__()
        self._store, self._batch_size, self._seed = Path(store), batch_size, seed
        self._kind, self._views, self._domain, self._workers = kind, views, domain, workers
        self._first = 0

    def stream(self, split: str) -> NumberedStream:
        """Return the stream of one split."""
        if self._kind == "sinograms":
            return StoredSinograms(
                self._store,
                self._batch_size,
                self._seed,
                split=split,
                domain=self._domain,
                views=self._views,
            )
        alone, mirrored = (0.3, 0.5) if split == "training" else (0.0, 0.0)
        return StoredSlabs(
            self._store,
            self._batch_size,
            self._seed,
            split=split,
            domain=self._domain,
            alone_share=alone,
            mirror_share=mirrored,
        )

    def train_dataloader(self) -> DataLoader[Any]:
        """Endless batches, from the step on that the checkpoint stopped at."""
        stream = self.stream("training")
        stream.first = self._first
        return self._loader(stream)

    def val_dataloader(self) -> DataLoader[Any]:
        """Every validation pair once."""
        return self._loader(OnePass(self.stream("validation"), self._batch_size))

    def _loader(self, batches: Dataset[Any]) -> DataLoader[Any]:
        return DataLoader(batches, batch_size=None, num_workers=self._workers)

    def state_dict(self) -> dict[str, Any]:
        """Say how many batches were drawn; Lightning keeps it in its checkpoints."""
        drawn = 0 if self.trainer is None else self.trainer.fit_loop.total_batch_idx + 1
        return {"batches": drawn}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after the batches of a checkpoint."""
        self._first = int(state_dict["batches"])
